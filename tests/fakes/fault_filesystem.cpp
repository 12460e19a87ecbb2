#include "fakes/fault_filesystem.h"

#include <unistd.h>

#include <algorithm>

#include "fakes/fault_file.h"

namespace sluice {

std::uint64_t FaultFilesystem::Inode::footprint() const {
  return std::max(pages(cached.size()), pages(allocated));
}

void FaultFilesystem::Directory::apply(const Change& change) {
  if (!change.removed.empty()) {
    durable.erase(change.removed);
  }
  if (!change.added.empty()) {
    durable[change.added] = change.inode;
  }
}

void FaultFilesystem::fail(Fault fault) {
  const std::scoped_lock lock(mutex_);
  faults_.push_back(std::move(fault));
}

void FaultFilesystem::clear_faults() {
  const std::scoped_lock lock(mutex_);
  faults_.clear();
}

void FaultFilesystem::set_capacity(std::optional<std::uint64_t> bytes) {
  const std::scoped_lock lock(mutex_);
  capacity_ = bytes;
}

void FaultFilesystem::power_off_after(std::uint64_t operations) {
  const std::scoped_lock lock(mutex_);
  operations_left_ = operations;
}

bool FaultFilesystem::powered_off() const {
  const std::scoped_lock lock(mutex_);
  return operations_left_ && *operations_left_ == 0;
}

std::uint64_t FaultFilesystem::count(Op op, const std::string& path_has) const {
  const std::scoped_lock lock(mutex_);
  std::uint64_t total = 0;
  for (const auto& [key, calls] : counts_) {
    total += key.first == op && key.second.find(path_has) != std::string::npos ? calls : 0;
  }
  return total;
}

int FaultFilesystem::before(Op op, const Path& path, std::size_t* short_bytes) {
  if (on_operation) {
    on_operation(op, path);
  }
  const std::scoped_lock lock(mutex_);
  ++counts_[{op, path.string()}];
  if (operations_left_) {
    if (*operations_left_ == 0) {
      return EIO;
    }
    --*operations_left_;
    if (*operations_left_ == 0) {
      return EIO;
    }
  }
  for (Fault& fault : faults_) {
    if (fault.op != op || path.string().find(fault.path_has) == std::string::npos) {
      continue;
    }
    const std::uint64_t call = fault.seen++;
    if (call < fault.after || call - fault.after >= fault.times) {
      continue;
    }
    if (fault.code == 0 && short_bytes != nullptr) {
      *short_bytes = fault.bytes;
      continue;
    }
    return fault.code;
  }
  return 0;
}

FaultFilesystem::Directory* FaultFilesystem::directory_of(const Path& path) {
  const auto found = directories_.find(path);
  return found == directories_.end() ? nullptr : &found->second;
}

FaultFilesystem::InodePtr FaultFilesystem::find(const Path& path) {
  Directory* directory = directory_of(path.parent_path());
  if (directory == nullptr) {
    return nullptr;
  }
  const auto found = directory->cached.find(path.filename().string());
  return found == directory->cached.end() ? nullptr : found->second;
}

FaultFilesystem::InodePtr FaultFilesystem::make_inode(Inode inode) {
  inode.number = next_inode_++;
  return std::make_shared<Inode>(std::move(inode));
}

std::uint64_t FaultFilesystem::used() const {
  std::set<const Inode*> counted;
  std::uint64_t total = 0;
  for (const auto& [path, directory] : directories_) {
    for (const auto& [name, inode] : directory.cached) {
      total += counted.insert(inode.get()).second ? inode->footprint() : 0;
    }
  }
  return total;
}

FileInfo FaultFilesystem::info_of(const Inode& inode) {
  FileInfo info;
  info.type = inode.type;
  info.bytes = inode.cached.size();
  info.bytes_allocated = inode.footprint();
  info.owner = ::geteuid();
  info.mode = 0600;
  info.inode = inode.number;
  return info;
}

Result<std::unique_ptr<File>> FaultFilesystem::open(const Path& path, OpenMode mode) {
  if (const int code = before(Op::open, path)) {
    return failed(code, path);
  }
  const std::scoped_lock lock(mutex_);
  Directory* directory = directory_of(path.parent_path());
  if (directory == nullptr) {
    return failed(ENOENT, path);
  }
  InodePtr inode = find(path);
  if (inode && mode == OpenMode::create_new) {
    return failed(EEXIST, path);
  }
  if (inode && inode->type == FileType::symlink) {
    return failed(ELOOP, path);
  }
  if (!inode) {
    if (mode == OpenMode::read || mode == OpenMode::read_write) {
      return failed(ENOENT, path);
    }
    inode = make_inode({});
    const std::string name = path.filename().string();
    directory->cached[name] = inode;
    directory->pending.push_back({"", name, inode});
  }
  return std::unique_ptr<File>(std::make_unique<FaultFile>(*this, inode, path));
}

Result<std::vector<DirectoryEntry>> FaultFilesystem::list(const Path& path) {
  if (const int code = before(Op::list, path)) {
    return failed(code, path);
  }
  const std::scoped_lock lock(mutex_);
  Directory* directory = directory_of(path);
  if (directory == nullptr) {
    return failed(ENOENT, path);
  }
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, inode] : directory->cached) {
    entries.push_back({name, info_of(*inode)});
  }
  for (const auto& [child, ignored] : directories_) {
    if (child.parent_path() == path && child != path) {
      FileInfo info;
      info.type = FileType::directory;
      info.owner = ::geteuid();
      info.mode = 0700;
      entries.push_back({child.filename().string(), info});
    }
  }
  return entries;
}

Result<FileInfo> FaultFilesystem::info(const Path& path) {
  if (const int code = before(Op::info, path)) {
    return failed(code, path);
  }
  const std::scoped_lock lock(mutex_);
  if (directory_of(path) != nullptr) {
    FileInfo info;
    info.type = FileType::directory;
    info.owner = ::geteuid();
    info.mode = 0700;
    return info;
  }
  const InodePtr inode = find(path);
  if (!inode) {
    return failed(ENOENT, path);
  }
  return info_of(*inode);
}

Status FaultFilesystem::create_directories(const Path& directory) {
  const std::scoped_lock lock(mutex_);
  Path so_far;
  for (const auto& component : directory) {
    so_far /= component;
    directories_.try_emplace(so_far);
  }
  return {};
}

Status FaultFilesystem::rename(const Path& from, const Path& to) {
  if (const int code = before(Op::rename, to)) {
    return failed(code, to);
  }
  const std::scoped_lock lock(mutex_);
  InodePtr inode = find(from);
  Directory* source = directory_of(from.parent_path());
  Directory* directory = directory_of(to.parent_path());
  if (!inode || source == nullptr || directory == nullptr) {
    return failed(ENOENT, from);
  }
  const std::string old_name = from.filename().string();
  const std::string new_name = to.filename().string();
  source->cached.erase(old_name);
  directory->cached[new_name] = inode;
  if (source == directory) {
    directory->pending.push_back({old_name, new_name, inode});
  } else {  // harsher than a journal: each directory keeps its half, or not
    source->pending.push_back({old_name, "", nullptr});
    directory->pending.push_back({"", new_name, inode});
  }
  return {};
}

Status FaultFilesystem::rename_exclusive(const Path& from, const Path& to) {
  {
    const std::scoped_lock lock(mutex_);
    if (find(to)) {
      return failed(EEXIST, to);
    }
  }
  return rename(from, to);
}

Status FaultFilesystem::link(const Path& from, const Path& to) {
  if (const int code = before(Op::link, to)) {
    return failed(code, to);
  }
  const std::scoped_lock lock(mutex_);
  InodePtr inode = find(from);
  Directory* directory = directory_of(to.parent_path());
  if (!inode || directory == nullptr) {
    return failed(ENOENT, from);
  }
  const std::string name = to.filename().string();
  if (!directory->cached.emplace(name, inode).second) {
    return failed(EEXIST, to);
  }
  directory->pending.push_back({"", name, inode});
  return {};
}

Status FaultFilesystem::unlink(const Path& path) {
  if (const int code = before(Op::unlink, path)) {
    return failed(code, path);
  }
  const std::scoped_lock lock(mutex_);
  Directory* directory = directory_of(path.parent_path());
  const std::string name = path.filename().string();
  if (directory == nullptr || directory->cached.erase(name) == 0) {
    return failed(ENOENT, path);
  }
  directory->pending.push_back({name, "", nullptr});
  return {};
}

Status FaultFilesystem::sync_directory(const Path& path) {
  const int code = before(Op::sync_directory, path);
  const std::scoped_lock lock(mutex_);
  Directory* directory = directory_of(path);
  if (directory == nullptr) {
    return failed(ENOENT, path);
  }
  if (code != 0) {
    if (!operations_left_ || *operations_left_ > 0) {
      directory->pending.clear();  // forgotten: no later sync writes them
    }
    return failed(code, path);
  }
  for (const Change& change : directory->pending) {
    directory->apply(change);
  }
  directory->pending.clear();
  return {};
}

Result<DiskSpace> FaultFilesystem::space(const Path& /*path*/) {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t total = capacity_.value_or(1ULL << 40U);
  return DiskSpace{total - std::min(total, used()), total};
}

Result<std::unique_ptr<FileLock>> FaultFilesystem::lock(const Path& path,
                                                        std::string_view content) {
  auto file = open(path, OpenMode::create_or_open);
  if (!file) {
    return file.error();
  }
  InodePtr inode;
  {
    const std::scoped_lock lock(mutex_);
    inode = find(path);
    if (inode->locked) {
      return failed(EWOULDBLOCK, path);
    }
    inode->locked = true;
    inode->cached.assign(reinterpret_cast<const std::byte*>(content.data()),
                         reinterpret_cast<const std::byte*>(content.data()) + content.size());
  }
  return std::unique_ptr<FileLock>(std::make_unique<FaultLock>(*this, inode));
}

void FaultFilesystem::flip_bit(const Path& path, std::uint64_t bit) {
  const std::scoped_lock lock(mutex_);
  const InodePtr inode = find(path);
  const auto mask = static_cast<std::byte>(1U << (bit % 8));
  for (auto* content : {&inode->cached, &inode->durable}) {
    if (bit / 8 < content->size()) {
      (*content)[bit / 8] ^= mask;
    }
  }
}

void FaultFilesystem::make_odd(const Path& path, FileType type) {
  const std::scoped_lock lock(mutex_);
  const InodePtr inode = make_inode({});
  inode->type = type;
  Directory* directory = directory_of(path.parent_path());
  directory->cached[path.filename().string()] = inode;
  directory->durable[path.filename().string()] = inode;
}

}  // namespace sluice
