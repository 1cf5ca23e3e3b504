"""All that this package knows of FastAPI's and Starlette's insides.

Their private parts move between releases, so each access asks first whether the
part has the shape it had in the releases we know (0.115 to 0.165). Whatever has
another shape is a Fallback: the application's own ASGI face answers then.
Nothing outside of this package imports a private name of theirs.
"""

from .conversation import dressed
from .exits import exits_always, late_errors_after_exits, shields_exits, swallowed
from .fields import body_to_args, is_form, params_know_each_other, params_to_args, probe, raise_request_error
from .forms import (
    files_stack,
    form_basis,
    form_data,
    form_limits,
    form_watch,
    may_have_files,
    reads_files,
    why_no_form,
)
from .gate import Waiting, install_gate, pass_gate, waiting
from .handlers import Fingerprint, fingerprint, read_handler
from .http import cached_request, streaming_class, streaming_response
from .known import Known, contents, settings_now, settings_of, with_application
from .limits import limits_understood, note_limit
from .pieces import Piece
from .releases import replaced, unsupported
from .results import body_allowed, encode_jsonable, own_json, raise_response_error, serialize
from .routes import Mounts, host_taken, routes
from .scopes import exit_stacks, included_scope, names_route, route_path, selected_scope
from .signing import Signing, signing_of
from .stack import Stack, alike, around_router, leaves_sockets_alone, own_handlers, read_stack, telemetry_watch
from .static import file_finder, whole_file
from .threads import threaded_iterator
from .tools import drive, own_function

__all__ = [
    "Fingerprint",
    "Known",
    "Mounts",
    "Piece",
    "Signing",
    "Stack",
    "Waiting",
    "alike",
    "around_router",
    "body_allowed",
    "body_to_args",
    "cached_request",
    "contents",
    "dressed",
    "drive",
    "encode_jsonable",
    "exit_stacks",
    "exits_always",
    "file_finder",
    "files_stack",
    "fingerprint",
    "form_basis",
    "form_data",
    "form_watch",
    "form_limits",
    "host_taken",
    "included_scope",
    "install_gate",
    "is_form",
    "late_errors_after_exits",
    "leaves_sockets_alone",
    "limits_understood",
    "names_route",
    "may_have_files",
    "reads_files",
    "note_limit",
    "own_function",
    "own_handlers",
    "own_json",
    "params_know_each_other",
    "params_to_args",
    "pass_gate",
    "probe",
    "raise_request_error",
    "raise_response_error",
    "read_handler",
    "read_stack",
    "replaced",
    "route_path",
    "routes",
    "selected_scope",
    "serialize",
    "settings_now",
    "settings_of",
    "shields_exits",
    "signing_of",
    "streaming_class",
    "streaming_response",
    "swallowed",
    "telemetry_watch",
    "threaded_iterator",
    "unsupported",
    "waiting",
    "whole_file",
    "why_no_form",
    "with_application",
]
