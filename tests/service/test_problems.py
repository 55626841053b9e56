"""One table from errors to HTTP, and nothing of our insides in it."""

from __future__ import annotations

import inspect

import pytest
import torch
from fastapi import FastAPI
from starlette.testclient import TestClient

from maskzoo.models import errors as zoo
from maskzoo.service import errors
from maskzoo.service.guards.security import RequestGuard
from maskzoo.service.problems import problem_of, table_of_problems

EXAMPLES = [
    (zoo.ImageFormatError("no image"), 400),
    (zoo.ImageDamagedError("cut"), 400),
    (zoo.ImageTooLargeError(9, 9, 10), 413),
    (zoo.UnknownNameError("model", "x", ["y"]), 404),
    (zoo.UnknownNameError("class", "x", ["y"]), 422),
    (zoo.ShapeError("shape"), 422),
    (zoo.BundleError("bundle"), 503),
    (zoo.ZooError("any"), 400),
    (errors.UploadTooLargeError(10), 413),
    (errors.UnsupportedMediaTypeError("a/b", ["c/d"]), 415),
    (errors.UrlRefusedError("why"), 403),
    (errors.UrlFailedError("why"), 422),
    (errors.NotAcceptableError("a/b", ["c/d"]), 406),
    (errors.BadParameterError(["x"]), 422),
    (errors.BadRequestError("x"), 400),
    (errors.TooManyCornersError(5), 422),
    (errors.TooManyRunsError(6, 5), 422),
    (errors.OverloadedError(7), 503),
    (errors.DeadlineError("late"), 504),
    (errors.ClientGoneError("gone"), 499),
    (errors.DecodeLimitError("9 s"), 422),
    (errors.DecoderDiedError(), 503),
    (errors.ModelMemoryError(5), 507),
    (errors.ModelLoadingError("m", 3), 503),
    (errors.ModelBrokenError("m", "r"), 503),
    (errors.NoModelError("none"), 503),
    (errors.ModelUnloadedError("m"), 503),
    (errors.AliasError("x"), 422),
    (errors.AdminTokenError(), 401),
    (errors.RateLimitError(2, 1), 429),
    (errors.ApiKeyError(), 401),
    (errors.StoppedError("x"), 503),
    (errors.OwnerGoneError(), 503),
    (errors.DiskFullError(), 507),
    (errors.JobsOffError(), 503),
    (errors.JobNotFoundError("j"), 404),
    (errors.JobLostError(3), 500),
    (errors.JobNotDoneError("running", 0.5), 409),
    (errors.ImageNeedsJobError(9, 9, 10), 413),
    (RuntimeError("secret of the house"), 500),
]


@pytest.mark.parametrize(("error", "status"), EXAMPLES, ids=lambda item: type(item).__name__)
def test_each_error_has_its_code(error, status):
    assert problem_of(error).kind.status == status


def test_every_error_of_the_service_has_an_example():
    classes = {
        cls
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, errors.RequestError) and cls is not errors.RequestError
    }
    assert classes == {type(error) for error, _ in EXAMPLES} & classes


def test_an_unexpected_error_tells_nothing_of_itself():
    assert "secret" not in problem_of(RuntimeError("secret of the house")).detail


@pytest.mark.parametrize(
    ("error", "members"),
    [
        (zoo.ImageTooLargeError(9, 8, 10), {"width": 9, "height": 8, "max_pixels": 10}),
        (zoo.UnknownNameError("class", "x", ["y"]), {"suggestions": [], "known": ["y"]}),
        (zoo.SpecError("network", ["no"]), {"mistakes": ["no"]}),
        (errors.UploadTooLargeError(10), {"max_bytes": 10}),
        (errors.UnsupportedMediaTypeError("a/b", ["c/d"]), {"accepted": ["c/d"]}),
        (errors.NotAcceptableError("a/b", ["c/d"]), {"offered": ["c/d"]}),
        (errors.BadParameterError(["x", "y"]), {"mistakes": ["x", "y"]}),
        (errors.TooManyCornersError(5), {"max_corners": 5}),
        (errors.TooManyRunsError(6, 5), {"max_runs": 5}),
        (errors.JobNotDoneError("running", 0.5), {"state": "running", "progress": 0.5}),
        (
            errors.ImageNeedsJobError(9, 8, 10),
            {"width": 9, "height": 8, "max_pixels": 10, "jobs": "/jobs"},
        ),
        (errors.ApiKeyError(), {}),
    ],
    ids=lambda item: type(item).__name__,
)
def test_what_an_error_holds_is_in_its_document(error, members):
    document = problem_of(error).document(path="/p", request_id="r")
    own = {"type", "title", "status", "detail", "instance", "error", "request_id"}
    assert {name: document[name] for name in document.keys() - own} == members


def test_a_document_is_short_whatever_the_error_repeats():
    mistakes = ["x" * 10**5] * 10**4
    document = problem_of(errors.BadParameterError(mistakes)).document(
        path="/" + "p" * 10**6, request_id="r"
    )
    assert len(document["detail"]) == 1001
    assert document["error"] == document["detail"]
    assert document["instance"].endswith("p…")
    assert len(document["mistakes"]) == 100
    assert max(map(len, document["mistakes"])) == 1001
    oip = problem_of(errors.BadParameterError(mistakes)).response(path="/v2/x", request_id="r")
    assert len(oip.body) < 5000


def test_memory_that_ran_out_anywhere_is_a_507_that_says_what_helps():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    problem = problem_of(caught.value)
    assert problem.kind.slug == "out-of-memory"
    assert problem.detail == "the server ran out of memory; send a smaller image"


def test_a_loading_model_says_when_to_come_again():
    assert problem_of(errors.ModelLoadingError("m", 3)).headers == {"Retry-After": "3"}


def test_slugs_are_unique():
    slugs = [kind.slug for kind in table_of_problems()]
    assert len(slugs) == len(set(slugs))


def test_a_crash_is_a_500_with_a_request_id_and_no_trace(caplog):
    app = FastAPI()

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError("secret of the house")

    app.add_middleware(RequestGuard)
    answer = TestClient(app).get("/crash", headers={"X-Request-ID": "abc"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == "abc"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "secret of the house" in caplog.text


def test_a_wrong_address_is_told_the_one_that_was_meant(client):
    answer = client.post("/segmnt", content=b"")
    assert answer.status_code == 404
    assert answer.json()["detail"] == (
        "there is nothing at /segmnt; did you mean /segment? /docs lists all addresses"
    )
    assert "did you mean" not in client.get("/xyz").json()["detail"]


def test_a_wrong_option_is_told_alike_in_the_query_and_in_a_form(client, png):
    files = {"file": ("a.png", png, "image/png")}
    query = client.post("/segment?fromat=json", files=files)
    form = client.post("/segment", files=files, data={"fromat": "json"})
    assert query.status_code == form.status_code == 422
    assert form.json()["detail"] == query.json()["detail"]
    assert form.json()["detail"] == "unknown option 'fromat'; did you mean 'format'?"
    wrong = client.post("/segment", files=files, data={"mode": "fast"}).json()["detail"]
    assert wrong == client.post("/segment?mode=fast", files=files).json()["detail"]


def test_a_form_without_the_file_is_told_how_to_send_it(client, png):
    answer = client.post("/segment", files={"image": ("a.png", png, "image/png")})
    assert answer.status_code == 400
    assert answer.json()["detail"].endswith("its fields: image (with curl: -F file=@image.png)")
