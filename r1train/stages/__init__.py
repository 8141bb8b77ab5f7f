"""One module for each kind of stage; each is a function of the run, the stage's folder and its settings."""
