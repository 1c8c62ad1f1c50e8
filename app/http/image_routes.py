"""Pictures over HTTP: painted by the warm process, kept in the history; the Create room and programs use the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, File, HTTPException, Query, UploadFile
from fastapi.responses import FileResponse, Response

from adapters.errors import StudioError
from adapters.prompt_syntax import take_loras
from adapters.record import read_record
from app.arguments import parse_adapter
from app.http.answers import images as answers
from app.http.answers.common import Deleted
from app.http.described import ADAPTERS, BASE, PICTURE, TURN, fields_of, tells, text
from app.http.uploads import FORM, on_disk, received
from app.painting.gallery import NAME, PAGE
from app.painting.grid import FIELDS, Asked, Axis, lay_out
from app.painting.paintings import Painting
from app.painting.styles import Style
from app.studio import Studio
from pipelines.image_file import Made, read_settings
from pipelines.ingredients import save_source, source_of
from pipelines.masks import open_mask
from pipelines.references import open_image
from pipelines.request import Request
from pipelines.samplers import SAMPLERS, SCHEDULES

_Request = fields_of(Request, description="What to paint.", examples=[{"prompt": "a photo of a cat", "seed": 1}])
_Style = fields_of(Style, examples=[{"name": "film", "prompt": "{prompt}, film grain", "negative_prompt": "blurry"}])
_Source = text("The id of a picture to paint on, from /studio/images/sources.")
_Axis = Annotated[Axis | None, Body(description="A setting that goes over several values.",
                                    examples=[{"field": "guidance", "values": ["3", "5", "7"]}])]
_Sheet = Annotated[bool, Body(description="Ask for one more file that shows all, labelled.")]
_Regions = Annotated[dict[str, str] | None, Body(description="Sources by the names of adapters that are to be where "
                                                             "these are white alone.")]
_File = Annotated[UploadFile, File(description="A picture of this studio's or in A1111's form.")]
_Picture = Annotated[UploadFile, File(description="The picture.")]
_Mask = Annotated[UploadFile | None, File(description="A picture of the same size, white where it is painted anew.")]
_Favourite = Annotated[bool, Body(embed=True, description="Whether it is liked.")]
_MANY = 400  # checkpoints that are listed
UPLOADS = {"POST /studio/images/settings": FORM, "POST /studio/images/sources": 2 * FORM}


def routes(studio: Studio) -> APIRouter:
    """All routes under /studio/images."""
    router = APIRouter(prefix="/studio/images", tags=["images"])

    @router.post("", **tells(answers.Addresses))
    def paint(request: _Request, adapters: ADAPTERS = None, base: BASE = "starter") -> dict[str, list[str]]:
        """Paint, and answer with the pictures' addresses when they are done. `adapters` are written NAME,
        NAME:WEIGHT or NAME:WEIGHT:DIAL=VALUE,...; `request` has a prompt and may have the other fields of an image.
        """
        _check(request)
        with studio.paintings.counted():
            files = studio.generate(request, base=base, adapters=[parse_adapter(a) for a in adapters or ()])
        return {"images": [f"/studio/images/{f.name}" for f in files]}

    _add_choices(router, studio)
    _add_paintings(router, studio)
    _add_history(router, studio)
    return router


def _check(request: dict[str, Any]) -> None:
    if wrong := set(request) - set(Request.model_fields):
        raise StudioError(f"A picture has no '{min(wrong)[:40]}'; it has {', '.join(Request.model_fields)}.")
    if not isinstance(request.get("images", 1), int) or not 1 <= request.get("images", 1) <= 64:
        raise StudioError(f"'images' is how many, from 1 to 64, not {str(request['images'])[:40]!r}.")
    if not isinstance(request.get("prompt"), str):
        raise StudioError("A picture needs a 'prompt', a text of what to show; give one, or an empty one.")


def _add_choices(router: APIRouter, studio: Studio) -> None:
    @router.get("/choices", **tells(answers.Choices))
    def choices() -> dict[str, Any]:
        """What can be chosen from: adapters with their words, checkpoints, samplers, schedules, styles, axes."""
        adapters = []
        lent = studio.part.lent.entries() if studio.part else ()
        for name, e in (*((e.name, e) for e in studio.library.entries()), *lent):
            spec = e.record.spec
            dials = {"bias": spec.get("bias", 0.75), "temperature": spec.get("temperature", 0.1), "locking": "local"}
            adapters.append({"name": name, "kind": e.record.kind, "method": e.record.method, "phrases": e.phrases,
                             "noun": e.record.class_noun, "base": e.base_spec, "family": e.record.base.family,
                             "picture": studio.library.thumbnail(e.name).is_file(),
                             "dials": dials if e.record.kind == "perfusion" else {}})
        checkpoints = [p.stem for job in studio.jobs() if job.kind == "train"  # one that is tried for a step is none
                       for p in sorted((studio.home.runs / job.id / "checkpoints").glob("*-step*.safetensors"))]
        return {"adapters": adapters, "checkpoints": checkpoints[:_MANY], "samplers": list(SAMPLERS),
                "schedules": list(SCHEDULES), "axes": FIELDS,
                "styles": [s.model_dump() for s in studio.styles.all()]}

    @router.put("/styles", **tells(list[Style]))
    def keep_style(fields: _Style) -> list[dict[str, Any]]:
        """Keep a style: name, prompt, negative_prompt. Answers with all."""
        return [s.model_dump() for s in studio.styles.keep(fields)]

    @router.delete("/styles/{name:path}", **tells(list[Style]))
    def delete_style(name: str) -> list[dict[str, Any]]:
        """Forget a style. Answers with the others."""
        return [s.model_dump() for s in studio.styles.delete(name)]

    @router.post("/settings", **tells(Made))
    def settings(file: _File) -> dict[str, Any]:
        """How a picture was made, by this studio or by a program that writes A1111's form."""
        name = Path(file.filename or "picture.png").name
        return _with_missing(studio, received(studio.home, file, name, read_settings))


def _with_missing(studio: Studio, made: Made) -> dict[str, Any]:
    """For the page, with a notice for each adapter that is not here."""
    notices = list(made.notices)
    tags = [name for name, _ in take_loras(made.request["prompt"])[1]]
    for name in [*(a[0] for a in made.adapters), *tags]:
        try:
            studio.adapter_file(name)
        except StudioError:
            notices.append(f"It was painted with the adapter '{name[:60]}', which is not in the library.")
    base = made.base
    if base and base != "starter" and "/" not in base:  # a folder or a file, by its name
        base = next((b.spec for b in studio.bases.all() if Path(b.spec).name == made.base), "")
        if not base:
            notices.append(f"It was painted with the base '{made.base[:60]}', which is not here; choose another.")
    return {**made.model_dump(), "base": base, "notices": notices}


def _add_paintings(router: APIRouter, studio: Studio) -> None:
    def words(name: str) -> tuple[str, str]:
        record = read_record(studio.adapter_file(name))
        return record.phrase or record.class_noun, record.class_noun

    def told(painting: Painting) -> dict[str, Any]:
        shown = studio.paintings.preview(painting.id)
        try:
            version = shown.stat().st_mtime_ns
        except FileNotFoundError:
            version = 0
        return {**painting.told(), "preview": str(version) if version else ""}

    @router.post("/sources", **tells(answers.Source))
    def source(picture: _Picture, mask: _Mask = None) -> dict[str, str]:
        """Keep a picture to paint on for a day, with a mask of its size that is white where it is painted."""
        def keep(path: Path) -> str:
            image = open_image(path)
            upright = path.with_name("picture.png")
            save_source(image, upright, source_of(path))
            if mask is None:
                return studio.paintings.take_source(upright, None)
            with on_disk(studio.home, mask, "mask.png") as other:  # in its picture's turn
                grey = other.with_name("mask-grey.png")
                open_mask(other, image).save(grey)
                return studio.paintings.take_source(upright, grey)

        return {"source": received(studio.home, picture, Path(picture.filename or "picture.png").name, keep)}

    @router.get("/sources/{id}", **PICTURE)
    def kept(id: str, mask: bool = False) -> FileResponse:
        """A picture that is kept to paint on, or its mask."""
        file = studio.paintings.source(id)[mask]
        if file is None:
            raise HTTPException(404)
        return FileResponse(file)

    @router.post("/paintings", **tells(answers.Painting))
    def start(request: _Request, adapters: ADAPTERS = None, base: BASE = "starter", source: _Source = "",
              x: _Axis = None, y: _Axis = None, sheet: _Sheet = False, regions: _Regions = None) -> dict[str, Any]:
        """Begin a painting and answer at once. A row is a seed, or a value of `y`; a column a value of `x`; `sheet`
        asks for one more file that shows all, labelled. `source` is a picture to paint on; `regions` are sources by
        the names of adapters that are to be where these are white, and nowhere else.
        """
        _check(request)
        asked = Asked(request, base, tuple(parse_adapter(a) for a in adapters or ()))
        return told(studio.paintings.start(lay_out(asked, x, y, words), compared=sheet, source=source,
                                           regions=regions))

    @router.get("/paintings", **tells(list[answers.Painting]))
    def every() -> list[dict[str, Any]]:
        """Those that are waiting or under way, and the last ones that ended."""
        return [told(p) for p in studio.paintings.all()]

    @router.get("/paintings/{id}", **tells(answers.Painting))
    def one(id: str) -> dict[str, Any]:
        """How far a painting has come."""
        return told(studio.paintings.get(id))

    @router.delete("/paintings/{id}", **tells(answers.Painting))
    def cancel(id: str) -> dict[str, Any]:
        """End it after the step that is running; what is done stays."""
        return told(studio.paintings.cancel(id))

    @router.post("/paintings/{id}/move", **tells(answers.Painting))
    def move(id: str, where: TURN) -> dict[str, Any]:
        """Give a waiting painting another turn: `up`, `down`, `first` or `last`."""
        return told(studio.paintings.move(id, where))

    @router.get("/paintings/{id}/preview", **PICTURE)
    def preview(id: str) -> Response:
        """The picture that is painted now, as far as it has come."""
        try:
            content = studio.paintings.preview(id).read_bytes()
        except FileNotFoundError as error:
            raise HTTPException(404) from error
        return Response(content, media_type="image/png", headers={"Cache-Control": "no-store"})


def _add_history(router: APIRouter, studio: Studio) -> None:
    gallery = studio.gallery

    @router.get("", **tells(answers.History))
    def history(q: str = "", favourites: bool = False, after: str = "",
                limit: Annotated[int, Query(ge=1, le=500)] = PAGE) -> dict[str, Any]:
        """Pictures in which every word of `q` is found, newest first, those behind the file `after`."""
        found, more = gallery.find(q, favourites=favourites, after=after, limit=limit)
        return {"images": found, "more": more}

    @router.get("/{file}", **PICTURE)
    def image(file: str, small: bool = False) -> FileResponse:
        """A picture, or a small one."""
        if not NAME.fullmatch(file) or not (gallery.folder / file).is_file():
            raise HTTPException(404)
        return FileResponse(gallery.thumbnail(file) if small else gallery.path(file))

    @router.get("/{file}/settings", **tells(Made))
    def made(file: str) -> dict[str, Any]:
        """How it was made."""
        return _with_missing(studio, read_settings(gallery.path(file)))

    @router.patch("/{file}", **tells(answers.Picture))
    def favour(file: str, favourite: _Favourite) -> dict[str, Any]:
        """Like it, or not any more."""
        return gallery.favour(file, favourite)

    @router.delete("/{file}", **tells(Deleted))
    def delete(file: str) -> dict[str, str]:
        """Put it into the trash."""
        gallery.delete(file)
        return {"deleted": file}

    @router.post("/{file}/restore", **tells(answers.Picture))
    def restore(file: str) -> dict[str, Any]:
        """Take it back."""
        return gallery.restore(file)
