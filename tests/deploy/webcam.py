"""A camera on the network: a picture, over and over, as motion JPEG over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2

FRAMES_A_SECOND = 10


@contextmanager
def webcam(video: Path) -> Iterator[str]:
    """Its address while it lives; shows the first frame of `video`."""
    capture = cv2.VideoCapture(str(video))
    jpeg = cv2.imencode(".jpg", capture.read()[1])[1].tobytes()
    capture.release()
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            try:
                while not ended.wait(1 / FRAMES_A_SECOND):
                    self.wfile.write(head + jpeg + b"\r\n")
            except ConnectionError:
                return  # whoever watched has gone

        def log_message(self, *_: object) -> None:
            """Not of interest."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/stream.mjpeg"
    ended.set()
    server.shutdown()
    server.server_close()
