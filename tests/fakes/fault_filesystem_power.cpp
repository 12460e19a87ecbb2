// FaultFilesystem: what is left when the process dies, when the power goes, and when a backup takes
// the disk's place.
#include <algorithm>
#include <cstring>

#include "fakes/fault_file.h"

namespace sluice {

void FaultFilesystem::survive(Inode& inode, std::mt19937_64& random) {
  const bool size_survives = random() % 2 == 0;
  if (inode.size_dirty && size_survives) {
    inode.durable.resize(inode.cached.size());
  }
  for (const std::uint64_t sector : inode.dirty_sectors) {
    const std::uint64_t begin = sector * kSectorBytes;
    const std::uint64_t end =
        std::min<std::uint64_t>({begin + kSectorBytes, inode.cached.size(), inode.durable.size()});
    if (begin < end && random() % 2 == 0) {
      std::memcpy(inode.durable.data() + begin, inode.cached.data() + begin, end - begin);
    }
  }
  inode.cached = inode.durable;
  inode.dirty_sectors.clear();
  inode.size_dirty = false;
  inode.allocated = 0;
  inode.locked = false;
}

void FaultFilesystem::restart(std::uint64_t seed) {
  const std::scoped_lock lock(mutex_);
  std::mt19937_64 random(seed);
  std::set<Inode*> done;
  for (auto& [path, directory] : directories_) {
    for (const Change& change : directory.pending) {
      if (random() % 2 == 0) {
        directory.apply(change);
      }
    }
    directory.pending.clear();
    directory.cached = directory.durable;
    for (auto& [name, inode] : directory.durable) {
      if (done.insert(inode.get()).second) {
        survive(*inode, random);
      }
    }
  }
  begin_boot();
}

void FaultFilesystem::resume() {
  const std::scoped_lock lock(mutex_);
  begin_boot();
}

void FaultFilesystem::begin_boot() {
  operations_left_.reset();
  faults_.clear();
  ++boot_;
}

class FaultFilesystem::Image {
 public:
  std::map<Path, std::map<std::string, std::size_t>> directories;  // names of inodes
  std::vector<Inode> inodes;
};

std::shared_ptr<const FaultFilesystem::Image> FaultFilesystem::save() const {
  const std::scoped_lock lock(mutex_);
  auto image = std::make_shared<Image>();
  std::map<const Inode*, std::size_t> numbers;
  for (const auto& [path, directory] : directories_) {
    auto& names = image->directories[path];
    for (const auto& [name, inode] : directory.cached) {
      const auto [place, fresh] = numbers.emplace(inode.get(), image->inodes.size());
      names[name] = place->second;
      if (fresh) {
        Inode copy;
        copy.type = inode->type;
        copy.cached = copy.durable = inode->cached;
        image->inodes.push_back(std::move(copy));
      }
    }
  }
  return image;
}

void FaultFilesystem::load(const Image& image) {
  const std::scoped_lock lock(mutex_);
  std::vector<InodePtr> inodes;
  for (const Inode& inode : image.inodes) {
    inodes.push_back(make_inode(inode));  // copies: none keeps its number
  }
  directories_.clear();
  for (const auto& [path, names] : image.directories) {
    Directory& directory = directories_[path];
    for (const auto& [name, number] : names) {
      directory.cached[name] = directory.durable[name] = inodes[number];
    }
  }
  begin_boot();
}

}  // namespace sluice
