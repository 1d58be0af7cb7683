"""A visitor with a real Chromium: Odoo's, let out to other sites."""

import json
import socket
import time
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from odoo.tests.common import ChromeBrowser, ChromeBrowserException

PATIENCE = 20  # other work on the machine must not make a test fail
DESKTOP = {"width": 1366, "height": 768, "deviceScaleFactor": 1, "mobile": False}
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
# What a person's Chromium says; a headless one says that it is a robot.
AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36"
)
KEYS = {"Escape": 27, "Tab": 9, "Enter": 13}


class Silence:
    """A server that takes every call and never says a word."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/"

    def stop(self):
        self.socket.close()


class Visitor(ChromeBrowser):
    """Odoo's Chromium, let out to other sites, with eyes and hands of its own.

    A frame of another site has a process of its own in it, which is talked to in a
    session of its own.
    """

    def __init__(self, case, preferences=None):
        self.preferences = preferences  # what a person has set in his browser
        self.requests = []  # (method, address, body)
        self.refused = ()  # parts of addresses that cannot be reached
        self.silent = ()  # parts of addresses that are never answered
        self.answers = {}  # part of an address: the page it shows
        self.console = []
        self.unanswered = set()
        # Request: address. A frame's begins in one session and ends in another.
        self.asked_for = {}
        self.loaded = []  # (address, bytes as transferred)
        self.frames = []  # sessions of frames, the newest last
        self.asked = {}  # session of a frame: what it has still to answer
        self.frame_script = ""  # runs in each before its own
        self.silence = Silence()
        super().__init__(case)
        self._handlers["Network.responseReceived"] = self._handle_response
        for event in ("loadingFinished", "loadingFailed"):
            self._handlers[f"Network.{event}"] = self._handle_end
        self._handlers["Target.attachedToTarget"] = self._handle_frame
        self._handlers["Target.detachedFromTarget"] = self._handle_frame_gone
        self.command("Network.enable")
        self.command("Network.setUserAgentOverride", userAgent=AGENT)
        self.command(
            "Target.setAutoAttach",
            autoAttach=True,
            waitForDebuggerOnStart=True,
            flatten=True,
        )

    def stop(self):
        self.silence.stop()
        return super().stop()

    def _chrome_start(self, user_data_dir, **options):
        if self.preferences:
            file = Path(user_data_dir, "Default", "Preferences")
            file.parent.mkdir()
            file.write_text(json.dumps(self.preferences))
        return super()._chrome_start(user_data_dir, **options)

    def _open_websocket(self):
        ws = super()._open_websocket()
        receive = ws.recv

        def recv():
            """Let handlers know in which session something happens."""
            text = receive()
            message = json.loads(text) if text else {}
            if "sessionId" in message and "params" in message:
                if message["method"] not in self.HANDLED:
                    return None
                message["params"]["session"] = message["sessionId"]
                return json.dumps(message)
            return text

        ws.recv = recv
        return ws

    HANDLED = (
        "Fetch.requestPaused",
        "Network.responseReceived",
        "Network.loadingFinished",
        "Network.loadingFailed",
    )

    def _handle_frame(self, sessionId, targetInfo, **_event):
        send = self._websocket_send
        for method in ("Fetch.enable", "Network.enable", "Page.enable"):
            send(method, session=sessionId)
        send(
            "Network.setUserAgentOverride",
            params={"userAgent": AGENT},
            session=sessionId,
        )
        if self.frame_script:
            send(
                "Page.addScriptToEvaluateOnNewDocument",
                params={"source": self.frame_script},
                session=sessionId,
            )
        send("Runtime.runIfWaitingForDebugger", session=sessionId)
        if targetInfo["type"] == "iframe":
            self.frames.append(sessionId)

    def _handle_frame_gone(self, sessionId, **_event):
        if sessionId in self.frames:
            self.frames.remove(sessionId)
        for future in self.asked.pop(sessionId, ()):
            if not future.done():  # nobody will answer this
                future.set_exception(ChromeBrowserException("The frame is gone."))

    def _websocket_send(self, method, *, params=None, with_future=False, session=None):
        if not session:
            return super()._websocket_send(
                method, params=params, with_future=with_future
            )
        number = next(self._request_id)
        future = Future() if with_future else None
        if future:
            self._responses[number] = future
            self.asked.setdefault(session, []).append(future)
        self.ws.send(
            json.dumps(
                {
                    "method": method,
                    "id": number,
                    "params": params or {},
                    "sessionId": session,
                }
            )
        )
        return future

    def _handle_request_paused(
        self, requestId, request, networkId=None, session=None, **_event
    ):
        url = request["url"]
        self.requests.append((request["method"], url, request.get("postData", "")))
        host = urlsplit(url).hostname or ""
        page = next((self.answers[part] for part in self.answers if part in url), None)
        if any(part in url for part in self.refused):
            command = "Fetch.failRequest"
            answer = {"errorReason": "ConnectionRefused"}
        elif any(part in url for part in self.silent):
            command, answer = "Fetch.continueRequest", {"url": self.silence.url}
        elif page is not None:
            command = "Fetch.fulfillRequest"
            answer = self.test_case.make_fetch_proxy_response(None, page)
        elif host == "127.0.0.1" or host.endswith("localhost"):
            command, answer = "Fetch.continueRequest", {}
            if request["method"] == "POST":
                self.unanswered.add(networkId)
        else:
            command = "Fetch.fulfillRequest"
            answer = self.test_case.make_fetch_proxy_response(None, "elsewhere")
        self._websocket_send(
            command, params={"requestId": requestId, **answer}, session=session
        )

    def _handle_response(self, requestId, response, **_event):
        self.asked_for[requestId] = response["url"]

    def _handle_end(self, requestId, encodedDataLength=0, **_event):
        self.unanswered.discard(requestId)
        address = self.asked_for.pop(requestId, None)
        if address:
            self.loaded.append((address, encodedDataLength))

    def _handle_console(self, type, args=None, **_event):
        self.console.append(
            " ".join(str(self._from_remoteobject(arg)) for arg in args or ())
        )

    def command(self, method, **params):
        return self._websocket_request(method, params=params)

    def in_frame(self, method, **params):
        """Give a command to the newest frame of another site."""
        future = self._websocket_send(
            method, params=params, with_future=True, session=self.frames[-1]
        )
        return future.result(timeout=10)

    def forget(self):
        """Become another visitor, when the last words of this one are answered."""
        end = time.monotonic() + 1
        while self.unanswered and time.monotonic() < end:
            time.sleep(0.02)
        self.unanswered.clear()
        self.refused, self.silent, self.answers = (), (), {}
        self.go("about:blank")
        self.command("Network.clearBrowserCookies")
        self.command("Network.clearBrowserCache")
        for origin in {self._origin(url) for _method, url, _body in self.requests}:
            self.command(
                "Storage.clearDataForOrigin", origin=origin, storageTypes="all"
            )
        self.requests.clear()
        self.asked_for.clear()
        self.loaded.clear()
        self.console.clear()

    def go(self, url):
        self.navigate_to(url, wait_stop=True)

    def js(self, expression, frame=False):
        """The value of an expression on the page, or in its frame, awaited."""
        command = self.in_frame if frame else self.command
        result = command(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, expression, patience=PATIENCE, frame=False):
        """Wait until an expression is true on the page, or in its frame."""
        end = time.monotonic() + patience
        while True:
            # An error: the page is about to change.
            with suppress(
                AssertionError,
                KeyError,
                IndexError,
                TimeoutError,
                ChromeBrowserException,
            ):
                if self.js(f"!!({expression})", frame):
                    return
            if time.monotonic() > end:
                raise AssertionError(f"never true: {expression}")
            time.sleep(0.02)

    def click(self, selector):
        """Click with the mouse."""
        x, y = self.js(
            f"(box => [box.x + box.width / 2, box.y + box.height / 2])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        self.click_at(x, y)

    def click_at(self, x, y):
        for kind in ("mousePressed", "mouseReleased"):
            self.command(
                "Input.dispatchMouseEvent",
                **{"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1},
            )

    def press(self, key, shift=False):
        """Press a key, wherever the focus is."""
        how = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        how["modifiers"] = 8 * shift
        down = {"type": "rawKeyDown"}
        if key == "Enter":
            down = {"type": "keyDown", "text": "\r"}
        self.command("Input.dispatchKeyEvent", **how, **down)
        # What had the focus may be gone now, and answer nothing.
        self._websocket_send("Input.dispatchKeyEvent", params={**how, "type": "keyUp"})

    def type(self, text):
        """Type a text, wherever the focus is."""
        for letter in text:
            for kind in ("keyDown", "keyUp"):
                what = {"type": kind, "key": letter}
                more = {"text": letter} if kind == "keyDown" else {}
                self.command("Input.dispatchKeyEvent", **what, **more)

    def resize(self, size):
        self.command("Emulation.setDeviceMetricsOverride", **size)

    def tree(self, frame=False):
        """What a screen reader is told: role, name and properties of each element."""
        command = self.in_frame if frame else self.command
        nodes = command("Accessibility.getFullAXTree")["nodes"]
        return [
            {
                "role": node["role"]["value"],
                "name": node.get("name", {}).get("value", ""),
                "description": node.get("description", {}).get("value", ""),
                **{
                    p["name"]: p["value"].get("value")
                    for p in node.get("properties", ())
                },
            }
            for node in nodes
            if not node.get("ignored") and "role" in node
        ]

    def sent(self, what):
        """The bodies that were posted to a door of the programme."""
        return [
            json.loads(body)
            for method, url, body in self.requests
            if method == "POST" and url.endswith(f"/{what}")
        ]

    def _origin(self, url):
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}"
