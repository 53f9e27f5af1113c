"""Reference data: dated facts about the organisation that events are held against. No Beam."""
