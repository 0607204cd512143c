"""The smallest programs that do what starting the program takes at the least; what they import is what is timed."""
