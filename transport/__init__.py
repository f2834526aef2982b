"""How frames move between the processes; knows nothing of cameras, models or windows."""
