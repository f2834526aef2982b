"""What is learnt from and scored on: folders of faces, annotated photographs, their splits."""
