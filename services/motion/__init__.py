"""What the spotter, the recognizer and the lab agree on about facial motion (numpy and cv2 only)."""
