"""From a camera or a file to aligned face frames: capture, landmarks, tracks, alignment, quality, publishing."""
