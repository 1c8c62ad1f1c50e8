"""Drafts: what a person is still putting together. Files are the truth, and each change is one atomic write.

A draft is a folder: `draft.json`, `pictures/<id>.png` as taken in, and `masks/<id>-<thing>.png`. What is taken out is
only not listed any more, so that it can be taken back. Crop and flip are numbers, done when the draft is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageChops, ImageOps

from adapters.errors import StudioError
from adapters.files import move, write_atomic, write_text
from app.concepts.draft import Draft, Shot, checked, framed
from app.errors import Missing
from pipelines.dataset_folders.model import TRIGGER, Dataset, Sample, mark
from pipelines.references import MAX_IMAGES, MAX_SIDE, open_image

THUMBNAIL = 480
READY = "ready"
"""How the folders begin in which a draft's pictures are made ready, an own one each time."""


class Drafts:
    """All drafts of a data folder. One process writes; every call is whole under a lock."""

    def __init__(self, folder: Path, trash: Path) -> None:
        self.folder, self.trash = folder, trash
        self._lock = threading.RLock()

    def new(self) -> Draft:
        """An empty draft."""
        return self._save(Draft(id=secrets.token_hex(6)))

    def all(self) -> list[Draft]:
        """Every readable draft, the last changed first."""
        found = []
        for path in self.folder.glob("*/draft.json"):
            try:
                found.append(Draft.model_validate_json(path.read_text("utf-8")))
            except (OSError, ValueError):
                continue  # left where it is; `doctor` says so
        return sorted(found, key=lambda d: -d.changed)

    def get(self, id: str) -> Draft:
        """One draft; StudioError when there is none."""
        path = self.folder / id / "draft.json"
        if not (len(id) == 12 and id.isalnum() and path.is_file()):
            raise Missing("This draft is not here any more; open another one.")
        try:
            return Draft.model_validate_json(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise StudioError(f"The draft '{id}' cannot be read; its pictures are still in '{path.parent}'.") from error

    def delete(self, id: str) -> None:
        """Put a draft away; `restore` brings it back."""
        with self._lock:
            draft = self.get(id)
            self.trash.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self.trash / draft.id, ignore_errors=True)
            move(self.folder / draft.id, self.trash / draft.id)

    def restore(self, id: str) -> Draft:
        """Bring back a draft that was put away."""
        with self._lock:
            if not (len(id) == 12 and id.isalnum() and (self.trash / id).is_dir()):
                raise Missing("That draft cannot be brought back any more.")
            move(self.trash / id, self.folder / id)
            return self.get(id)

    def update(self, id: str, /, **fields: object) -> Draft:
        """Set title, things, prefix or suffix."""
        if wrong := set(fields) - {"title", "things", "prefix", "suffix"}:
            raise StudioError(f"A draft has no '{min(wrong)[:40]}' to set; it has a title, things, prefix and suffix.")
        with self._lock:
            return self._save(checked(self.get(id), **fields))

    def add(self, id: str, name: str, source: Path) -> Shot:
        """Check a picture and take it in, upright and stripped of metadata."""
        image = open_image(source)
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
        with self._lock:
            draft = self.get(id)
            if len(draft.shots) >= MAX_IMAGES:
                raise StudioError(f"A draft has at most {MAX_IMAGES} pictures; take one out first.")
            shot = Shot(id=secrets.token_hex(6), name=name[:200], width=image.width, height=image.height,
                        sha256=hashlib.sha256(source.read_bytes()).hexdigest())
            if any(s.sha256 == shot.sha256 for s in draft.shots):
                raise StudioError(f"'{name[:60]}' is here already.")
            write_atomic(self.picture(id, shot.id), lambda p: image.save(p, "PNG"))
            small = ImageOps.contain(image, (THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
            write_atomic(self.thumbnail(id, shot.id), lambda p: small.save(p, "JPEG", quality=88))
            draft.shots = (*draft.shots, shot)
            self._save(draft)
        return shot

    def remove(self, id: str, shot: str) -> Draft:
        """Take one picture out; the others and their captions stay as they are."""
        with self._lock:
            draft = self.get(id)
            gone = draft.shot(shot)
            draft.shots = tuple(s for s in draft.shots if s.id != shot)
            draft.removed = (*draft.removed, gone)
            return self._save(draft)

    def erase(self, id: str, shots: Collection[str]) -> Draft:
        """Take pictures out for good, with their masks and whatever was made ready of them."""
        with self._lock:
            draft = self.get(id)
            for ready in (self.folder / id).glob(f"{READY}*"):
                shutil.rmtree(ready, ignore_errors=True)
            for shot in shots:
                for path in (self.picture(id, shot), self.thumbnail(id, shot),
                             *(self.folder / id / "masks").glob(f"{shot}-*.png")):
                    path.unlink(missing_ok=True)
            draft.shots, draft.removed = (tuple(s for s in part if s.id not in shots)
                                          for part in (draft.shots, draft.removed))
            return self._save(draft)

    def take_back(self, id: str, shot: str) -> Draft:
        """Put a removed picture back, with its caption and masks."""
        with self._lock:
            draft = self.get(id)
            back = next((s for s in draft.removed if s.id == shot), None)
            if back is None:
                raise Missing("That picture cannot be brought back any more.")
            draft.removed = tuple(s for s in draft.removed if s.id != shot)
            draft.shots = (*draft.shots, back)
            return self._save(draft)

    def change(self, id: str, shot: str, /, **fields: object) -> Draft:
        """Set a picture's caption, crop or flip."""
        if wrong := set(fields) - {"caption", "crop", "flipped"}:
            raise StudioError(f"A picture has no '{min(wrong)[:40]}' to set; it has a caption, a crop and a flip.")
        with self._lock:
            draft = self.get(id)
            return self._put(draft, checked(draft.shot(shot), **fields))

    def suggest(self, id: str, shot: str, caption: str) -> bool:
        """Caption a picture, unless it has a caption by now or is gone; whether it was done."""
        with self._lock:
            draft = self.get(id)
            bare = next((s for s in draft.shots if s.id == shot and not s.caption.strip()), None)
            if bare is not None:
                self._put(draft, checked(bare, caption=caption[:2000]))
            return bare is not None

    def replace(self, id: str, find: str, put: str) -> int:
        """Find and replace in all captions; in how many something was found."""
        if not find:
            raise StudioError("There is nothing to look for; type the words that are to be replaced.")
        with self._lock:
            draft = self.get(id)
            hits = [s for s in draft.shots if find in s.caption]
            draft.shots = tuple(checked(s, caption=s.caption.replace(find, put)) if find in s.caption else s
                                for s in draft.shots)
            self._save(draft)
        return len(hits)

    def set_mask(self, id: str, shot: str, thing: str, source: Path | None) -> Draft:
        """Keep a painted mask (grey, of the picture's size) for a thing, or take it away with None."""
        with self._lock:
            draft = self.get(id)
            owner = draft.shot(shot)
            if thing not in (t.id for t in draft.things):
                raise Missing("The thing of this mask is not in the draft any more; reload the page.")
            kept = {m for m in owner.masks if m != thing}
            if source is not None:
                mask = open_image(source).convert("L")
                if mask.size != (owner.width, owner.height):
                    raise StudioError(f"The mask is {mask.width}x{mask.height} pixels, its picture is "
                                      f"{owner.width}x{owner.height}; paint it on the picture.")
                if max(mask.tobytes()) >= 128:
                    write_atomic(self.mask(id, shot, thing), lambda p: mask.save(p, "PNG"))
                    kept.add(thing)
            return self._put(draft, owner.model_copy(update={"masks": tuple(sorted(kept))}))

    def suggest_mask(self, id: str, shot: str, thing: str, found: Image.Image) -> bool:
        """Keep a found mask, unless the thing has one by now or is gone, or its picture is; whether it was done.

        What other things have of the picture stays theirs. Raises StudioError where that is all that was found.
        """
        with self._lock:
            draft = self.get(id)
            owner = next((s for s in draft.shots if s.id == shot and thing not in s.masks), None)
            if owner is None or thing not in (t.id for t in draft.things):
                return False
            mask = found.convert("L")
            for other in (t.id for t in draft.things if t.id in owner.masks):
                mask = ImageChops.subtract(mask, open_image(self.mask(id, shot, other)).convert("L"))
            if max(mask.tobytes()) < 128:
                raise StudioError("Only what belongs to another thing was found; paint this one by hand.")
            write_atomic(self.mask(id, shot, thing), lambda p: mask.save(p, "PNG"))
            self._put(draft, owner.model_copy(update={"masks": tuple(sorted({*owner.masks, thing}))}))
        return True

    @contextlib.contextmanager
    def dataset(self, id: str) -> Iterator[Dataset]:
        """What a training gets: crops and flips done, captions whole, a mask for each thing where all have one.

        Its files are there for the block, and nobody else's: whoever asks meanwhile gets others.
        """
        with contextlib.ExitStack() as kept:
            with self._lock:
                draft = self.get(id)
                if not draft.shots:
                    raise StudioError("The draft has no pictures; add 1 to 30 of them.")
                folder = Path(kept.enter_context(tempfile.TemporaryDirectory(
                    prefix=f"{READY}-", dir=self.folder / id, ignore_cleanup_errors=True)))  # erased meanwhile, perhaps
                samples = [self._sample(draft, shot, folder, number) for number, shot in enumerate(draft.shots)]
            yield Dataset(tuple(samples), noun=draft.things[0].noun)

    def _sample(self, draft: Draft, shot: Shot, folder: Path, number: int) -> Sample:
        picture = folder / f"{number:02d}.png"
        framed(open_image(self.picture(draft.id, shot.id)), shot).save(picture, "PNG")
        masks = []
        for n, thing in enumerate(draft.things if all(t.id in shot.masks for t in draft.things) else ()):
            with Image.open(self.mask(draft.id, shot.id, thing.id)) as mask:
                masks.append(folder / f"{number:02d}-mask{n}.png")
                framed(mask.convert("L"), shot).save(masks[-1], "PNG")
        caption = draft.caption_of(shot)
        if caption and len(draft.things) == 1:
            caption = mark(caption, draft.things[0].name)
            caption = caption if TRIGGER in caption else f"{TRIGGER}, {caption}"
        return Sample(picture, tuple(masks), caption, sha256=shot.sha256)

    def picture(self, id: str, shot: str) -> Path:
        """The picture as it was taken in."""
        return self.folder / id / "pictures" / f"{shot}.png"

    def thumbnail(self, id: str, shot: str) -> Path:
        """The same, small."""
        return self.folder / id / "pictures" / f"{shot}.jpg"

    def mask(self, id: str, shot: str, thing: str) -> Path:
        """A painted mask, of the picture's size."""
        return self.folder / id / "masks" / f"{shot}-{thing}.png"

    def _put(self, draft: Draft, shot: Shot) -> Draft:
        draft.shots = tuple(shot if s.id == shot.id else s for s in draft.shots)
        return self._save(draft)

    def _save(self, draft: Draft) -> Draft:
        draft.changed = time.time()
        write_text(self.folder / draft.id / "draft.json", json.dumps(draft.model_dump(), ensure_ascii=False))
        return draft


def import_captions(drafts: Drafts, id: str, files: Sequence[tuple[str, str]],
                    say: Callable[[str], None] = lambda text: None) -> int:
    """Captions from (file name, text) pairs, each for the picture of the same stem; how many found theirs."""
    by_stem = {Path(s.name).stem.lower(): s.id for s in drafts.get(id).shots}
    found = 0
    for name, text in files:
        shot = by_stem.get(Path(name).stem.lower())
        if shot is None:
            say(f"'{name[:60]}' has the name of no picture here")
            continue
        drafts.change(id, shot, caption=" ".join(text.split())[:2000])
        found += 1
    return found
