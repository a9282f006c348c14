-- Contents of which a name was taken away since the collector last looked.
CREATE TABLE released (object INTEGER PRIMARY KEY) STRICT;
