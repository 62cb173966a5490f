"""The cases, by the files of Circus's own tests."""
