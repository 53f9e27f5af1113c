"""What runs inside other tools and tells Tollbook of their calls. It needs neither Beam nor dbt nor DuckDB."""
