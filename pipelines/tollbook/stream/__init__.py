"""The Beam job: read, decode, attribute, rate, aggregate, write, commit. A PTransform each; `job` wires them."""
