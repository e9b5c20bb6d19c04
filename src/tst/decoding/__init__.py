"""Getting values out of videos and archives. Hostile and damaged input ends in one clear line."""
