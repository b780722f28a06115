"""What an experiment would run, and on what data, before anything is trained."""
