"""Sans-IO codecs no well-kept library has."""
