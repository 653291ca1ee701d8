"""A small API server of Kubernetes for a real kubectl: it keeps Secrets and ConfigMaps as they are applied."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

_KINDS = {"secrets": "Secret", "configmaps": "ConfigMap"}
_OBJECT = "/api/v1/namespaces/{namespace}/%s/{name}"
# that the server checks fields itself, which kubectl asks for before it applies
_PATCH = {
    _OBJECT % plural: {
        "patch": {
            "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
            "x-kubernetes-group-version-kind": {"group": "", "kind": kind, "version": "v1"},
        }
    }
    for plural, kind in _KINDS.items()
}
_ANSWERS: dict[str, dict[str, Any]] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": plural, "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get", "patch", "create"]}
            for plural, kind in _KINDS.items()
        ],
    },
    "/openapi/v3": {"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1"}}},
    "/openapi/v3/api/v1": {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "1"}, "paths": _PATCH},
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: dict[str, dict[str, Any]]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in _ANSWERS:
            self._answer(200, _ANSWERS[path])
        elif path in self.objects:
            self._answer(200, self.objects[path])
        elif path.count("/") == 4:
            self._answer(200, {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": path.rpartition("/")[2]}})
        else:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            self._answer(404, status)

    def do_PATCH(self) -> None:
        applied = yaml.safe_load(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.partition("?")[0]
        self._answer(200 if path in self.objects else 201, applied)
        self.objects[path] = applied

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


class KubeApi:
    """What the server holds, by namespace, kind and name."""

    def __init__(self, server: ThreadingHTTPServer, objects: dict[str, dict[str, Any]]) -> None:
        self.address = f"http://127.0.0.1:{server.server_port}"
        self._objects = objects

    def get(self, namespace: str, kind: str, name: str) -> dict[str, Any] | None:
        return self._objects.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}")

    def put(self, namespace: str, kind: str, name: str, **more: Any) -> None:
        body = {"apiVersion": "v1", "kind": _KINDS[kind], "metadata": {"name": name, "namespace": namespace}}
        self._objects[f"/api/v1/namespaces/{namespace}/{kind}/{name}"] = body | more

    def config(self, path: Path) -> None:
        """Write a kubeconfig with two contexts: `here`, the current one, and `there` with the namespace `theirs`."""
        of = {"cluster": "c", "user": "u"}
        contexts = [{"name": "here", "context": of}, {"name": "there", "context": of | {"namespace": "theirs"}}]
        clusters = [{"name": "c", "cluster": {"server": self.address}}]
        about = {"contexts": contexts, "clusters": clusters, "users": [{"name": "u", "user": {}}]}
        path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "here"} | about))


@contextmanager
def started() -> Iterator[KubeApi]:
    objects: dict[str, dict[str, Any]] = {}
    handler = type("Handler", (_Handler,), {"objects": objects})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield KubeApi(server, objects)
        finally:
            server.shutdown()
            thread.join()
