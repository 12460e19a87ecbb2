"""What a disk holds after a power cut: from its content before, and the log of dm-log-writes.

The log has every write in the order in which it became durable: with the flush that made it so
behind it, or itself written through (FUA). Up to such an entry, therefore, all of the log is on the
disk. What comes behind it, up to the next such entry, was on its way or in the disk's cache: any
part of it may be there, in any order, 4 KiB by 4 KiB. Smaller parts disks have not written for
years, and ext4 does not survive: it gives up on a journal whose last block is half there.
"""
import dataclasses
import pathlib
import struct

SECTOR_BYTES = 512
_ATOM_SECTORS = 8  # what is written whole or not at all
_SUPER = struct.Struct("<QQQI")  # magic, version, entries, bytes of a sector
_ENTRY = struct.Struct("<QQQQ")  # sector, sectors, flags, bytes of a mark's name
_MAGIC = 0x6A736677736872
_FLUSH, _FUA, _DISCARD, _MARK = 1, 2, 4, 8


@dataclasses.dataclass
class Write:
    sector: int
    sectors: int
    flags: int
    data_at: int  # in the log
    mark: str | None

    def settles(self):
        """All of the log up to this one is on the disk."""
        return bool(self.flags & (_FLUSH | _FUA))


class WriteLog:
    """The log, also while it grows. An entry's place in `writes` is its name."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.writes = []
        self._next = SECTOR_BYTES

    def look(self):
        """Reads what has come."""
        with self.path.open("rb") as log:
            if not self.writes:
                magic, version, _, sector_bytes = _SUPER.unpack(log.read(_SUPER.size))
                if magic == 0:
                    return self
                assert (magic, version, sector_bytes) == (_MAGIC, 1, SECTOR_BYTES), "another format"
            while write := self._entry(log):
                self.writes.append(write)
        return self

    def _entry(self, log):
        log.seek(self._next)
        header = log.read(SECTOR_BYTES)
        if not any(header[:_ENTRY.size]):
            return None
        sector, sectors, flags, name_bytes = _ENTRY.unpack_from(header)
        assert not flags & _DISCARD, "what a discard leaves is not defined"
        data_at = self._next + SECTOR_BYTES
        name = header[_ENTRY.size:_ENTRY.size + name_bytes] if flags & _MARK else None
        self._next = data_at + sectors * SECTOR_BYTES
        return Write(sector, sectors, flags, data_at, name.decode() if name else None)

    def mark(self, name):
        """The place of a mark; None: it is not there yet."""
        return next((at for at, write in enumerate(self.writes) if write.mark == name), None)

    def settling(self, begin):
        """The places from `begin` on up to which all is on the disk."""
        return [at for at in range(begin, len(self.writes)) if self.writes[at].settles()]

    def on_their_way(self, cut):
        """The places of what a cut after this entry may tear."""
        return range(cut + 1, self.settling(cut + 1)[0] + 1)

    def sectors_on_their_way(self, cut):
        return sum(self.writes[at].sectors for at in self.on_their_way(cut))

    def replay(self, image, cut, dice):
        """Makes the image, as it was when the log began, what a power cut leaves after the entry
        `cut`, which settles or is a mark: all up to it, and of what was on its way whatever the
        dice say. Returns how many sectors of that are there, and how many are not."""
        on_their_way = self.on_their_way(cut)
        kept = lost = 0
        with self.path.open("rb") as log, pathlib.Path(image).open("r+b") as disk:
            for write in self.writes[:cut + 1]:
                self._apply(write, range(write.sectors), log, disk)
            for at in dice.sample(on_their_way, len(on_their_way)):
                sectors = _torn(self.writes[at].sectors, dice)
                self._apply(self.writes[at], sectors, log, disk)
                kept, lost = kept + len(sectors), lost + self.writes[at].sectors - len(sectors)
        return kept, lost

    @staticmethod
    def _apply(write, sectors, log, disk):
        log.seek(write.data_at)
        content = log.read(write.sectors * SECTOR_BYTES)
        assert len(content) == write.sectors * SECTOR_BYTES, "the log is cut"
        for sector in sectors:
            disk.seek((write.sector + sector) * SECTOR_BYTES)
            disk.write(content[sector * SECTOR_BYTES:(sector + 1) * SECTOR_BYTES])


def _torn(sectors, dice):
    """Which sectors of a write on its way are there."""
    atoms = -(-sectors // _ATOM_SECTORS)
    outcome = dice.random()
    if outcome < 0.4:
        there = range(atoms)
    elif outcome < 0.7:
        there = range(0)
    elif outcome < 0.85:
        there = range(dice.randrange(atoms + 1))
    else:
        there = [atom for atom in range(atoms) if dice.random() < 0.5]
    return [sector for sector in range(sectors) if sector // _ATOM_SECTORS in there]
