{{ stage_tellings(source('lake', 'usage')) }}
