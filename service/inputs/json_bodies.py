"""Images in JSON bodies: base64 or a URL.

    {"image": "<base64>", "name": "a.png", "format": "json", "model": "nuclei"}
    {"images": [{"image": "data:image/png;base64,…"}, {"url": "https://…"}], "format": "json"}

Every other member is an option of the request, under its name in the query.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maskzoo.service.errors import BadParameterError, BadRequestError, UploadTooLargeError
from maskzoo.service.inputs.base64_text import decode_base64
from maskzoo.service.inputs.json_text import parse_object
from maskzoo.service.inputs.uploads import Submission, Upload

BASE64: dict[str, Any] = {"contentEncoding": "base64"}


class ImageMember(BaseModel):
    """One image of a JSON body: `image` or `url`, and not both."""

    model_config = ConfigDict(extra="forbid")

    image: Annotated[str, Field(json_schema_extra=BASE64)] | None = Field(
        default=None, description="Base64, or a data: URL of it."
    )
    url: str | None = Field(
        default=None, max_length=4096, description="Only where the server allows it."
    )
    name: str | None = Field(default=None, max_length=255, description="For messages only.")

    @model_validator(mode="after")
    def _check_source(self) -> ImageMember:
        if (self.image is None) == (self.url is None):
            raise ValueError("give either 'image' (base64) or 'url'")
        return self


def parse_body(body: bytes, *, max_bytes: int, max_images: int) -> Submission:
    """Return the images and the options of a JSON body.

    Raises:
        BadRequestError: the body is not a JSON object, has no image, or has invalid base64.
        BadParameterError: members of an image are wrong.
        UploadTooLargeError: the images have more than `max_bytes` together.
    """
    document = parse_object(body)
    is_many = "images" in document
    listed = document.pop("images", None)
    single = {key: document.pop(key) for key in ImageMember.model_fields if key in document}
    if listed is None:
        listed = [single] if single else []
    elif single:
        raise BadRequestError(f"the body has 'images' as well as {next(iter(single))!r}")
    if not isinstance(listed, list) or not listed:
        raise BadRequestError("the body has no image; give 'image' (base64), 'url' or 'images'")
    if len(listed) > max_images:
        raise BadRequestError(
            f"the body has {len(listed)} images; at most {max_images} are accepted"
        )
    images = [_read_member(member, index) for index, member in enumerate(listed)]
    if sum(len(image.data) for image in images) > max_bytes:
        raise UploadTooLargeError(max_bytes)
    return Submission(images, document, is_many)


def _read_member(given: Any, index: int) -> Upload:
    try:
        member = ImageMember.model_validate(given)
    except ValidationError as error:  # what was given is not repeated: it may be an image
        places = [".".join(map(str, ("images", index, *item["loc"]))) for item in error.errors()]
        messages = [item["msg"].removeprefix("Value error, ") for item in error.errors()]
        mistakes = [f"{place}: {text}" for place, text in zip(places, messages, strict=True)]
        raise BadParameterError(mistakes) from None
    name = member.name or "image"
    if member.image is None:
        return Upload(b"", name, member.url)
    data = decode_base64(member.image)
    if not data:
        raise BadRequestError("'image' is empty; give the base64 of an image file")
    return Upload(data, name)
