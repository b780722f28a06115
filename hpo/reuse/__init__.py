"""Past trials used again: a study extended, a study that begins warm, a KerasTuner project read."""
