"""What people may ask of a controller about their own data: see it, move it, have it erased."""
