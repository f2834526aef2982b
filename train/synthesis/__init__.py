"""Variation of faces: light, blur, masks and other things that are put on them."""
