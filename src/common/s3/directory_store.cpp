#include "common/s3/directory_store.h"

#include <algorithm>
#include <cerrno>

#include "common/s3/directory_error.h"
#include "common/s3/directory_files.h"
#include "common/s3/object_key.h"

namespace sluice {
namespace {

constexpr const char* kTemporaryDirectory = ".sluice-tmp";

template <class T>
StoreResult<T> store_result(Result<T> result) {
  if (result) {
    return {.value = std::move(*result), .error = std::nullopt};
  }
  return {.value = {}, .error = directory_error(result.error())};
}

Status validate_key(const std::string& key) {
  if (key.empty() || key.ends_with('/') || !validate_key_prefix(key) ||
      key.starts_with(kTemporaryDirectory)) {
    return Error{ErrorKind::rejected, kBadKey, "a key that is no path below the directory"};
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<DirectoryStore>> DirectoryStore::open(Filesystem& filesystem,
                                                             Options options) {
  std::unique_ptr<DirectoryStore> store(new DirectoryStore(filesystem, std::move(options)));
  if (Status status = store->make_root(); !status) {
    return status.error();
  }
  if (Status status = store->remove_stale_files(); !status) {
    return status.error();
  }
  return store;
}

Status DirectoryStore::make_root() {
  std::vector<Path> missing;
  for (Path path = temporary_directory_; path.has_filename() && !filesystem_.info(path);
       path = path.parent_path()) {
    missing.push_back(path);
  }
  if (Status status = filesystem_.create_directories(temporary_directory_); !status) {
    return status;
  }
  for (const Path& path : missing) {
    const Path parent = path.parent_path();
    if (Status status = filesystem_.sync_directory(parent.empty() ? Path(".") : parent); !status) {
      return status;
    }
  }
  durable_directories_.insert(options_.root);
  return {};
}

DirectoryStore::DirectoryStore(Filesystem& filesystem, Options options)
    : filesystem_(filesystem), options_(std::move(options)) {
  options_.root = options_.root.lexically_normal();
  if (!options_.root.has_filename()) {
    options_.root = options_.root.parent_path();
  }
  temporary_directory_ = options_.root / kTemporaryDirectory;
}

DirectoryStore::~DirectoryStore() {
  for (auto& [id, temporary] : uploads_) {
    discard(temporary);
  }
}

ObjectStore::Capabilities DirectoryStore::capabilities() const {
  return {.conditional_put = true, .conditions_proven = true, .metadata = false};
}

std::string DirectoryStore::describe() const { return "directory " + options_.root.string(); }

Status DirectoryStore::remove_stale_files() {
  const Result<std::vector<DirectoryEntry>> entries = filesystem_.list(temporary_directory_);
  if (!entries) {
    return entries.error();
  }
  for (const DirectoryEntry& entry : *entries) {
    if (entry.name.starts_with(options_.instance + "~")) {
      if (Status status = filesystem_.unlink(temporary_directory_ / entry.name); !status) {
        return status;
      }
    }
  }
  return {};
}

// ---- files --------------------------------------------------------------------------------------

Result<DirectoryStore::Temporary> DirectoryStore::make_temporary() {
  Temporary temporary;
  // '~' ends an instance id: it may not contain one.
  temporary.path =
      temporary_directory_ / (options_.instance + "~" + std::to_string(next_temporary_++));
  Result<std::unique_ptr<File>> file = filesystem_.open(temporary.path, OpenMode::create_new);
  if (!file) {
    return file.error();
  }
  temporary.file = std::move(*file);
  return temporary;
}

void DirectoryStore::discard(Temporary& temporary) {
  temporary.file.reset();
  // What cannot be removed now is removed at the next start.
  static_cast<void>(filesystem_.unlink(temporary.path).ok());
}

Status DirectoryStore::write_body(File& file, const ObjectBody& body, std::uint64_t begin) {
  std::vector<std::span<const std::byte>> parts;
  for (const ObjectBody::Span& span : body.spans()) {
    parts.push_back(span.bytes);
  }
  return write_all(file, parts, begin);
}

Status DirectoryStore::make_directories_of(const Path& object) {
  Path directory = options_.root;
  const Path below = object.parent_path().lexically_relative(options_.root);
  for (const Path& component : below) {
    if (component == ".") {
      continue;
    }
    const Path parent = directory;
    directory /= component;
    if (durable_directories_.contains(directory)) {
      continue;
    }
    if (Status status = filesystem_.create_directories(directory); !status) {
      return status;
    }
    if (Status status = filesystem_.sync_directory(parent); !status) {
      return status;
    }
    durable_directories_.insert(directory);
  }
  return {};
}

// Gives a synced temporary file its name. The temporary file is gone afterwards, or still there
// where this failed.
Result<PutOutcome> DirectoryStore::publish(const Publication& publication) {
  const Path object = options_.root / publication.key;
  const Path directory = object.parent_path();
  if (Status status = make_directories_of(object); !status) {
    durable_directories_ = {options_.root};  // one of them may have been removed: look again
    return status.error();
  }
  PutOutcome outcome;
  Status renamed = publication.may_replace
                       ? filesystem_.rename(publication.temporary, object)
                       : filesystem_.rename_exclusive(publication.temporary, object);
  if (!renamed && renamed.error().code == EEXIST) {
    const Result<bool> same = same_content(filesystem_, publication.temporary, object);
    if (!same) {
      return same.error();
    }
    if (!*same) {
      return Error{ErrorKind::rejected, kExistsWithOtherBytes,
                   object.string() + " exists with other bytes"};
    }
    outcome.found_equal = true;
    // After a failed sync the entry may never reach the disk though the next sync succeeds: only a
    // new one will.
    renamed = suspect_directories_.contains(directory)
                  ? filesystem_.rename(publication.temporary, object)
                  : filesystem_.unlink(publication.temporary);
  }
  if (!renamed) {
    if (renamed.error().code == ENOENT || renamed.error().code == ENOTDIR) {
      durable_directories_ = {options_.root};
    }
    return renamed.error();
  }
  if (Status synced = filesystem_.sync_directory(directory); !synced) {
    suspect_directories_.insert(directory);
    return synced.error();
  }
  suspect_directories_.erase(directory);
  return outcome;
}

Result<PutOutcome> DirectoryStore::put_now(const PutRequest& request) {
  if (Status status = validate_key(request.name.key); !status) {
    return status.error();
  }
  Result<Temporary> temporary = make_temporary();
  if (!temporary) {
    return temporary.error();
  }
  Status written = write_body(*temporary->file, request.body, 0);
  if (written) {
    written = temporary->file->fdatasync();
  }
  Result<PutOutcome> outcome = written ? publish({.temporary = temporary->path,
                                                  .key = request.name.key,
                                                  .may_replace = !request.if_none_match})
                                       : Result<PutOutcome>(written.error());
  if (!outcome) {
    discard(*temporary);
  }
  return outcome;
}

Result<PutOutcome> DirectoryStore::complete_now(const CompleteRequest& request) {
  const auto found = uploads_.find(request.upload_id);
  if (found == uploads_.end()) {
    return Error{ErrorKind::rejected, kUploadLost, "no such upload"};
  }
  // Whatever happens, this file is done with: a failed sync is never repeated on it.
  Temporary temporary = std::move(found->second);
  uploads_.erase(found);
  const Status synced = temporary.file->fdatasync();
  Result<PutOutcome> outcome = synced ? publish({.temporary = temporary.path,
                                                 .key = request.key,
                                                 .may_replace = !request.if_none_match})
                                      : Result<PutOutcome>(synced.error());
  if (!outcome) {
    discard(temporary);
  }
  return outcome;
}

// Those of this process: what an earlier one left was removed by open().
Result<UploadPage> DirectoryStore::list_uploads_now(const ListUploadsRequest& request) const {
  std::map<std::pair<std::string, std::string>, const Temporary*> ordered;
  const std::pair after(request.after.key, request.after.upload_id);
  for (const auto& [id, temporary] : uploads_) {
    if (temporary.key.starts_with(request.prefix) && std::pair(temporary.key, id) > after) {
      ordered.emplace(std::pair(temporary.key, id), &temporary);
    }
  }
  UploadPage page;
  for (const auto& [name, temporary] : ordered) {
    if (page.uploads.size() == std::clamp(request.uploads_max, 1U, kPageItemsMax)) {
      const MultipartUpload& last = page.uploads.back().upload;
      page.next = {.key = last.key, .upload_id = last.upload_id};
      break;
    }
    const Result<FileInfo> info = temporary->file->info();
    if (!info) {
      return info.error();
    }
    page.uploads.push_back({.upload = {.key = name.first, .upload_id = name.second},
                            .initiated_at = info->modified_at});
  }
  return page;
}

// ---- requests -----------------------------------------------------------------------------------

void DirectoryStore::put(PutRequest request, StoreCompletion<PutOutcome> completion) {
  pending_.emplace_back(
      [this, request = std::move(request), completion = std::move(completion)]() mutable {
        StoreResult<PutOutcome> result = store_result(put_now(request));
        request = {};  // its memory goes back before the caller hears of it
        completion(std::move(result));
      });
}

void DirectoryStore::head(std::string key, StoreCompletion<std::optional<ObjectInfo>> completion) {
  pending_.emplace_back([this, key = std::move(key), completion = std::move(completion)] {
    if (Status status = validate_key(key); !status) {
      return completion({.value = {}, .error = directory_error(status.error())});
    }
    const Result<FileInfo> info = filesystem_.info(options_.root / key);
    if (!info && (info.error().code == ENOENT || info.error().code == ENOTDIR)) {
      return completion({});
    }
    if (!info) {
      return completion({.value = {}, .error = directory_error(info.error())});
    }
    completion({.value = ObjectInfo{.bytes = info->bytes}, .error = std::nullopt});
  });
}

void DirectoryStore::get(GetRequest request,
                         StoreCompletion<std::optional<std::string>> completion) {
  pending_.emplace_back([this, request = std::move(request), completion = std::move(completion)] {
    if (Status status = validate_key(request.key); !status) {
      return completion({.value = {}, .error = directory_error(status.error())});
    }
    Result<std::string> text =
        read_file(filesystem_, options_.root / request.key, request.bytes_max);
    if (!text && text.error().code == ENOENT) {
      return completion({});
    }
    if (!text) {
      StoreError error = directory_error(text.error());
      if (text.error().code == EFBIG) {
        error.kind = StoreErrorKind::this_object;
      }
      return completion({.value = {}, .error = std::move(error)});
    }
    completion({.value = std::move(*text), .error = std::nullopt});
  });
}

void DirectoryStore::create_multipart(ObjectName name, StoreCompletion<std::string> completion) {
  pending_.emplace_back([this, name = std::move(name), completion = std::move(completion)] {
    if (Status status = validate_key(name.key); !status) {
      return completion({.value = {}, .error = directory_error(status.error())});
    }
    Result<Temporary> temporary = make_temporary();
    if (!temporary) {
      return completion({.value = {}, .error = directory_error(temporary.error())});
    }
    temporary->key = name.key;
    std::string id = temporary->path.filename().string();
    uploads_.emplace(id, std::move(*temporary));
    completion({.value = std::move(id), .error = std::nullopt});
  });
}

void DirectoryStore::upload_part(PartRequest request, StoreCompletion<UploadedPart> completion) {
  pending_.emplace_back([this, request = std::move(request),
                         completion = std::move(completion)]() mutable {
    StoreResult<UploadedPart> result{.value = {.number = request.number, .etag = ""},
                                     .error = std::nullopt};
    const auto found = uploads_.find(request.upload_id);
    const Status written = found == uploads_.end()
                               ? Status(Error{ErrorKind::rejected, kUploadLost, "no such upload"})
                               : write_body(*found->second.file, request.body, request.begin);
    if (!written) {
      result.error = directory_error(written.error());
    }
    request = {};
    completion(std::move(result));
  });
}

void DirectoryStore::complete_multipart(CompleteRequest request,
                                        StoreCompletion<PutOutcome> completion) {
  pending_.emplace_back([this, request = std::move(request), completion = std::move(completion)] {
    completion(store_result(complete_now(request)));
  });
}

void DirectoryStore::abort_multipart(MultipartUpload upload, StoreCompletion<Nothing> completion) {
  pending_.emplace_back([this, upload = std::move(upload), completion = std::move(completion)] {
    if (const auto found = uploads_.find(upload.upload_id); found != uploads_.end()) {
      discard(found->second);
      uploads_.erase(found);
    }
    completion({});
  });
}

void DirectoryStore::list(ListRequest request, StoreCompletion<ObjectPage> completion) {
  pending_.emplace_back([this, request = std::move(request), completion = std::move(completion)] {
    completion(
        store_result(list_objects(filesystem_, {options_.root, kTemporaryDirectory}, request)));
  });
}

void DirectoryStore::list_multipart(ListUploadsRequest request,
                                    StoreCompletion<UploadPage> completion) {
  pending_.emplace_back([this, request = std::move(request), completion = std::move(completion)] {
    completion(store_result(list_uploads_now(request)));
  });
}

void DirectoryStore::remove(std::string key, StoreCompletion<Nothing> completion) {
  pending_.emplace_back([this, key = std::move(key), completion = std::move(completion)] {
    Status status = validate_key(key);
    if (status) {
      status = filesystem_.unlink(options_.root / key);
    }
    if (!status && status.error().code != ENOENT) {
      return completion({.value = {}, .error = directory_error(status.error())});
    }
    completion({});
  });
}

// One request a call: the caller sees the others' outcomes, and its own wake-ups, in between.
void DirectoryStore::poll(MonotonicTime until) {
  if (pending_.empty()) {
    if (until == MonotonicTime::max()) {
      wakeup_.acquire();
      woken_.store(false);
    } else if (wakeup_.try_acquire_until(until)) {
      woken_.store(false);
    }
    return;
  }
  const std::function<void()> next = std::move(pending_.front());
  pending_.pop_front();
  next();
}

void DirectoryStore::wake() {
  if (!woken_.exchange(true)) {
    wakeup_.release();
  }
}

}  // namespace sluice
