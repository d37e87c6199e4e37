"""One camera from its source to the publisher, in a thread of its own; what goes wrong with it stays with it."""

import threading
from collections import Counter
from contextlib import ExitStack, closing
from time import monotonic

from microex.v1 import frame_pb2, stream_pb2
from services.common.consent import ConsentWatch
from services.common.errors import Fatal, MicroexError, Retryable
from services.common.kafka import Outbox
from services.common.logs import get_logger
from services.common.settings import IngestSettings
from services.ingest.account import Account
from services.ingest.cameras import CameraConfig
from services.ingest.core import Ingest
from services.ingest.feed import Feed
from services.ingest.live import LONGEST_WAIT_S, Live, backoff_s, open_url, open_webcam
from services.ingest.publisher import Publisher
from services.ingest.sources import FileSource, open_folder, open_video

log = get_logger(__name__)

End = frame_pb2.End

LOOK_UP_S = 1.0
"""How often a source that gives no frames is asked about lost faces and consent."""

READER_LEAVES_S = 6.0
"""A network source notices a stop after its own time-out of 5 s."""


class Camera:
    """Runs one camera until its source ends, its consent goes or it is told to stop.

    error: why it was given up, or None. failures: runs that failed. ends: streams ended, by reason.
    """

    def __init__(self, config: CameraConfig, settings: IngestSettings, consents: ConsentWatch, outbox: Outbox) -> None:
        self.config = config
        self.publisher = Publisher(outbox)
        self.error: MicroexError | None = None
        self.failures = 0
        self.ends: Counter[str] = Counter()
        self._settings, self._consents = settings, consents
        self._stop = threading.Event()
        self._counting = threading.Lock()  # held while counts change, so that a reader sees sums that close
        self._past = Account()
        self._ingest: Ingest | None = None
        self._source: FileSource | Live | None = None
        self._feed: Feed | None = None
        self._reconnects = 0
        self._log = log.bind(session=config.session, camera=config.camera)

    @property
    def account(self) -> Account:
        """Counts of all runs so far."""
        with self._counting:
            return self._past + self._ingest.account if self._ingest else self._past

    @property
    def connected(self) -> bool:
        """Whether frames can come: a live source that broke off is not connected."""
        source = self._source
        return source.connected if isinstance(source, Live) else source is not None

    @property
    def reconnects(self) -> int:
        """How often a live source was opened again."""
        source = self._source
        return self._reconnects + (source.reconnects if isinstance(source, Live) else 0)

    @property
    def held(self) -> int:
        """Frames between source and landmarker."""
        feed = self._feed
        return feed.held if feed else 0

    def stop(self) -> None:
        """Tells it to end; `run` returns soon after."""
        self._stop.set()
        if (feed := self._feed) is not None:
            feed.stop()

    def run(self) -> None:
        """Runs to the end. A live source whose run failed begins a new one, with a new epoch; a file is given up."""
        in_a_row = 0
        while not self._stop.is_set():
            began_s = monotonic()
            try:
                self._run_once()
            except Exception as error:  # noqa: BLE001 - one camera must never take the others down
                unexpected = Retryable if self.config.live else Fatal
                known = error if isinstance(error, MicroexError) else unexpected("unexpected error", error=repr(error))
                if not self.config.live or isinstance(known, Fatal):
                    self._give_up(known, trace=known is not error)
                    return
                self.failures += 1
                in_a_row = in_a_row + 1 if monotonic() - began_s < LONGEST_WAIT_S else 0
                wait_s = backoff_s(in_a_row)
                self._log.error(
                    "camera failed", error=str(known), retry_in_s=round(wait_s, 2), exc_info=known is not error
                )
                self._stop.wait(wait_s)
            else:
                return

    def confirm(self) -> None:
        """After `run`, when Kafka answered for all that was sent: a refusal of the last messages is an error, too."""
        try:
            self.publisher.check()
        except Retryable as error:
            if self.error is None:
                self._give_up(error)

    def _give_up(self, error: MicroexError, trace: bool = False) -> None:
        self.failures += 1
        self.error = error
        self._log.error("camera given up", error=str(error), exc_info=trace)

    def _run_once(self) -> None:
        """One run: from opening the source to the last message. Raises what ended it early."""
        base = stream_pb2.TIME_BASE_UTC if self.config.live else stream_pb2.TIME_BASE_MEDIA
        leave = threading.Event()
        with ExitStack() as ending:
            source = self._open(leave)
            ending.callback(source.close)
            epoch_ms = source.clock() // 1000 if isinstance(source, Live) else 0
            ingest = Ingest(self.config.session, self.config.camera, epoch_ms, base, self._settings)
            ending.enter_context(closing(ingest))
            ending.callback(self._settle, ingest)
            self._source, self._ingest = source, ingest
            feed = self._feed = Feed(source, self._settings.queue_frames, self.config.live, leave)
            ending.callback(self._leave, feed)
            self._log.info("source starts", epoch_ms=epoch_ms)
            self._follow(feed, ingest)
            if feed.error is not None:
                raise feed.error

    def _open(self, leave: threading.Event) -> FileSource | Live:
        config = self.config
        if (url := config.url) is not None:
            return Live(lambda: open_url(url), leave, self._log)
        if (number := config.webcam) is not None:
            return Live(lambda: open_webcam(number), leave, self._log)
        return open_folder(config.path, config.fps) if config.fps else open_video(config.path)

    def _follow(self, feed: Feed, ingest: Ingest) -> None:
        """Frames to Kafka until something ends them, then the ends of their streams. A file that is to be read again
        from its beginning leaves its streams open."""
        reason: frame_pb2.End.Reason.ValueType | None = None
        try:
            reason = self._pump(feed, ingest)
        except Exception:
            with self._counting:
                ingest.drop("failed", feed.discard())
            reason = End.REASON_LOST if self.config.live else None
            raise
        finally:
            if reason is not None:
                with self._counting:
                    messages = ingest.finish(reason)
                self._publish(messages)

    def _pump(self, feed: Feed, ingest: Ingest) -> "frame_pb2.End.Reason.ValueType | None":
        """Frames from the line to Kafka; why they ended, None when their streams are to stay open."""
        while True:
            if self._consents.withdrawn(self.config.session):
                self._log.warning("consent was withdrawn")
                return self._discard(feed, ingest, "consent", End.REASON_CONSENT_WITHDRAWN)
            if (refusal := self._consents.refusal(self.config.session)) is not None:
                raise Fatal(refusal)
            if self._stop.is_set():
                return self._discard(feed, ingest, "shutdown", End.REASON_SHUTDOWN if self.config.live else None)
            captured, behind = feed.take(LOOK_UP_S)
            messages: list[frame_pb2.FaceFrame] = []
            with self._counting:
                ingest.drop("behind", behind)
                if captured is not None:
                    messages = ingest.step(captured)
                elif feed.ended and not self._stop.is_set():
                    return End.REASON_LOST if self.config.live else End.REASON_SOURCE_END
                elif isinstance(self._source, Live):
                    messages = ingest.elapse(self._source.clock())
            self._publish(messages)

    def _discard(
        self, feed: Feed, ingest: Ingest, why: str, reason: "frame_pb2.End.Reason.ValueType | None"
    ) -> "frame_pb2.End.Reason.ValueType | None":
        """Counts what is still in the line as dropped."""
        with self._counting:
            ingest.drop(why, feed.discard())
        return reason

    def _publish(self, messages: list[frame_pb2.FaceFrame]) -> None:
        self.publisher.publish(messages)
        self.ends.update(End.Reason.Name(message.end.reason) for message in messages if message.HasField("end"))

    def _leave(self, feed: Feed) -> None:
        """Ends the reading thread."""
        feed.stop()
        if not feed.join(READER_LEAVES_S):
            self._log.warning("source does not let go")

    def _settle(self, ingest: Ingest) -> None:
        """Adds a run that ended to the past."""
        with self._counting:
            self._reconnects = self.reconnects
            self._past += ingest.account
            self._ingest = self._source = self._feed = None
        self._log.info("source ended", **ingest.account.as_fields(), closes=ingest.account.closes)
