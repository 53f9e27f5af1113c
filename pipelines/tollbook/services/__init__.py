"""What programs need that Tollbook runs on this machine: jars, a Java, free ports, a process that is found again."""
