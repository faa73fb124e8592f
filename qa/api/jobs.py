"""Routes that change the corpus, and tell what became of each change."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from index.errors import CitedQAError
from qa.api.access import require_admin
from qa.api.documents import DocumentId, etag_of, is_same
from qa.api.keys import Caller
from qa.api.models import IndexRequest, JobOut, JobPage, PageParams
from qa.api.multipart import FIELDS, Form
from qa.api.problems import Responses, documented
from qa.api.startup import ENGINE_PROBLEMS, ReadyEngine, ServerChanges
from qa.editing.jobs import Job

router = APIRouter(prefix="/v1", tags=["changes"])

# One without a name has no key: none are configured.
Admin = Annotated[Caller, Depends(require_admin)]

_DISK_PROBLEMS = ("disk-unwritable", "disk-full", *ENGINE_PROBLEMS)
_ACCEPTED: Responses = {
    202: {
        "description": "It is done as far as files go, and will outlast a crash; the index follows as a job",
        "headers": {"Location": {"description": "Where to ask about the job", "schema": {"type": "string"}}},
    }
}
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "One part a file, each with its filename",
                        },
                        "collection": {"type": "string", "description": "The first collection unless named"},
                        "folder": {"type": "string", "description": "A folder in it, as in 2024/speeches"},
                        "replace": {"type": "boolean", "default": False, "description": "Replace files of these names"},
                    },
                }
            }
        },
    }
}
assert set(_FORM["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]) == {"file", *FIELDS}


@router.post(
    "/documents",
    summary="Add documents",
    status_code=202,
    dependencies=[Depends(require_admin)],
    openapi_extra=_FORM,
    responses={
        **_ACCEPTED,
        **documented(
            "body-too-large", "unsupported-type", "not-uploaded", "conflict", "invalid-request", *_DISK_PROBLEMS
        ),
    },
)
async def upload_documents(
    engine: ReadyEngine, changes: ServerChanges, caller: Admin, request: Request, response: Response
) -> JobOut:
    """Put files into a collection's folder and index them.

    All of a request's files are taken, or none. When the answer comes they are safe on disk; the job says when they can
    be found. A file of a name that is there already is refused unless `replace` is true; where no keys are configured,
    also unless it was uploaded itself. What is replaced is kept for a while: `qa undelete` brings it back.
    """
    problem: CitedQAError | None = None
    with changes.upload(anything=caller.name is not None) as upload:
        form = Form(request.headers.get("Content-Type", ""), upload)
        try:
            async for chunk in request.stream():
                # A client that is still sending when it is refused may lose the answer, so the rest is read too.
                problem = problem or await to_thread.run_sync(_feed, form, chunk)
        except ClientDisconnect as exc:
            raise HTTPException(400) from exc
        if problem:
            raise problem
        form.finish()
        return _accepted(await to_thread.run_sync(upload.commit), response)


def _feed(form: Form, chunk: bytes) -> CitedQAError | None:
    try:
        form.feed(chunk)
    except CitedQAError as exc:
        return exc
    return None


@router.delete(
    "/documents/{document_id}",
    summary="Remove a document",
    status_code=202,
    dependencies=[Depends(require_admin)],
    responses={
        **_ACCEPTED,
        **documented("document-not-found", "not-uploaded", "conflict", "precondition-failed", *_DISK_PROBLEMS),
    },
)
def delete_document(
    engine: ReadyEngine,
    changes: ServerChanges,
    document_id: DocumentId,
    caller: Admin,
    response: Response,
    if_match: Annotated[str | None, Header(description="Only the version with this `ETag`")] = None,
) -> JobOut:
    """Remove a document's file, and take it out of the index.

    When the answer comes the file is gone; the job says when the index has followed. It is kept for a while, and
    `qa undelete` brings it back. Where no keys are configured, only what was uploaded can be deleted. A member of an
    archive, or a mail's attachment, can't be removed by itself.
    """
    info = engine.document_info(document_id)
    if if_match is not None and not is_same(if_match, etag_of(info)):
        raise HTTPException(412, f"If-Match: the document's ETag is now {etag_of(info)}; look at it again")
    return _accepted(changes.delete(info, anything=caller.name is not None), response)


@router.post(
    "/index",
    summary="Bring the index in step with the corpus",
    status_code=202,
    dependencies=[Depends(require_admin)],
    responses={
        **_ACCEPTED,
        **documented("malformed-json", "body-too-large", "invalid-request", "corpus-empty", *_DISK_PROBLEMS),
    },
)
def sync_index(
    engine: ReadyEngine,
    changes: ServerChanges,
    response: Response,
    request: Annotated[IndexRequest | None, Body()] = None,
) -> JobOut:
    """Read what has changed in the corpus, as `qa index` does; with `rebuild` all of it, beside the old index.

    Where a folder is empty that had documents, or is another one that lacks most of them, a disk may not be mounted:
    that is refused, and the job fails where it is noticed later, unless `allow_empty` is true.
    """
    wanted = request or IndexRequest()
    return _accepted(changes.index(rebuild=wanted.rebuild, allow_empty=wanted.allow_empty), response)


@router.get("/jobs", summary="List jobs", responses=documented("invalid-request", *_DISK_PROBLEMS))
def list_jobs(changes: ServerChanges, params: Annotated[PageParams, Query()]) -> JobPage:
    """List what was asked for, the newest first, a page at a time. The last thousand that ended are kept."""
    jobs = changes.jobs.newest(params.limit + 1, params.cursor)
    page = jobs[: params.limit]
    return JobPage(jobs=[_job(job) for job in page], next_cursor=page[-1].id if len(jobs) > len(page) else None)


@router.get("/jobs/{job_id}", summary="What became of a job?", responses=documented("job-not-found", *_DISK_PROBLEMS))
def get_job(changes: ServerChanges, job_id: Annotated[str, Path(description="`id` of a job")]) -> JobOut:
    """Say how far a job is, and what came of it once it has ended."""
    return _job(changes.jobs.job(job_id))


def _accepted(job: Job, response: Response) -> JobOut:
    response.headers["Location"] = f"{router.prefix}/jobs/{job.id}"
    return _job(job)


def _job(job: Job) -> JobOut:
    return JobOut.model_validate(asdict(job))
