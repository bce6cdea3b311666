"""Finished executions from elsewhere, as users may write them into a job's history."""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated, Final

from pydantic import Field, model_validator

from dkronpy.model.execution import Execution, OutputChunk, State
from dkronpy.model.fields import Spec, SpecError, Text, Time, Value, validated

MAX_OUTPUT: Final = 1 << 20
"""Bytes of one output."""
_STATES: Final = frozenset(state for state in State if state.final and state.ran)


class ExecutionSpec(Spec):
    """One execution, in the shape in which Dkron and this server show it; what is not named here is ignored.

    Without a `state` it is `success` or `failed` as `success` says, or `lost` where it has not finished. Its output is
    text, or base64 where it is no text.
    """

    group: Annotated[int, Field(ge=1, lt=2**63)]
    attempt: Annotated[int, Field(ge=1, lt=10**9)] = 1
    node_name: Text = ""
    state: Annotated[State | None, Field(strict=False)] = None
    success: bool = False
    started_at: Time = None
    finished_at: Time = None
    exit_code: int | None = None
    error: Value = ""
    output: str = ""
    output_base64: str = ""

    @model_validator(mode="after")
    def _check(self) -> ExecutionSpec:
        if self.state is not None and self.state not in _STATES:
            raise ValueError(f"state must be one of {', '.join(sorted(_STATES))}: only what has ended can be written")
        if self.state is None and self.success and self.finished_at is None:
            raise ValueError("finished_at is missing: an execution that succeeded has ended")
        return self


def parse_execution(data: object, job: str) -> tuple[Execution, OutputChunk | None]:
    """An execution of `job` with its output, from a decoded JSON object. Raises SpecError with all that is wrong."""
    spec = validated(ExecutionSpec, data)
    output = _output(spec)
    state = spec.state
    if state is None:
        state = State.LOST if spec.finished_at is None else State.SUCCESS if spec.success else State.FAILED
    lost = "it had not ended when it was taken over" if state is State.LOST else ""
    execution = Execution(
        job=job,
        group=spec.group,
        attempt=spec.attempt,
        node=spec.node_name,
        state=state,
        fire=spec.group,
        decided=spec.group,
        started=spec.started_at,
        finished=spec.finished_at,
        exit_code=spec.exit_code,
        error=spec.error or lost,
        output_size=len(output),
        output_sha256=hashlib.sha256(output).hexdigest(),
    )
    return execution, OutputChunk(*execution.key, 0, output) if output else None


def _output(spec: ExecutionSpec) -> bytes:
    if spec.output and spec.output_base64:
        raise SpecError([("output_base64", "is given beside output: keep one of them")])
    try:
        output = base64.b64decode(spec.output_base64, validate=True) if spec.output_base64 else spec.output.encode()
    except ValueError as error:
        field = "output_base64" if spec.output_base64 else "output"
        raise SpecError([(field, f"can't be read: {error}")]) from None
    if len(output) > MAX_OUTPUT:
        raise SpecError([("output", f"is too long: at most {MAX_OUTPUT} bytes")])
    return output
