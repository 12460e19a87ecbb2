// DirectoryStore: objects as files under a directory, for a start without any account. A key is a
// path; an object appears whole and durable or not at all: temporary file, sync, rename that
// replaces nothing, sync of the directory and of every directory made for it.
//
// It keeps no metadata (the ledger has it): where a key exists already its bytes are compared with
// ours, equal ones are a success with found_equal, others are `exists`. Requests are carried out
// one after the other inside poll(), which blocks in the file system for as long as that takes.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <semaphore>
#include <set>

#include "common/base/result.h"
#include "common/platform/filesystem.h"
#include "common/s3/object_store.h"

namespace sluice {

class DirectoryStore final : public ObjectStore {
 public:
  struct Options {
    Path root;
    // Names our temporary files: those of other instances on the same directory are left alone.
    std::string instance;
  };

  // Makes the directory where it is missing and removes the temporary files that an earlier run of
  // this instance left. The file system outlives the store.
  static Result<std::unique_ptr<DirectoryStore>> open(Filesystem& filesystem, Options options);
  ~DirectoryStore() override;

  [[nodiscard]] Capabilities capabilities() const override;
  [[nodiscard]] std::string describe() const override;
  void put(PutRequest request, StoreCompletion<PutOutcome> completion) override;
  void head(std::string key, StoreCompletion<std::optional<ObjectInfo>> completion) override;
  void get(GetRequest request, StoreCompletion<std::optional<std::string>> completion) override;
  void create_multipart(ObjectName name, StoreCompletion<std::string> completion) override;
  void upload_part(PartRequest request, StoreCompletion<UploadedPart> completion) override;
  void complete_multipart(CompleteRequest request, StoreCompletion<PutOutcome> completion) override;
  void abort_multipart(MultipartUpload upload, StoreCompletion<Nothing> completion) override;
  void list(ListRequest request, StoreCompletion<ObjectPage> completion) override;
  void list_multipart(ListUploadsRequest request, StoreCompletion<UploadPage> completion) override;
  void remove(std::string key, StoreCompletion<Nothing> completion) override;
  void leave_out_conditions() override {}  // the rename has its own
  bool refresh_credentials() override { return false; }
  void poll(MonotonicTime until) override;
  void wake() override;

 private:
  struct Temporary {
    Path path;
    std::unique_ptr<File> file;
    std::string key = {};  // that it is to be published under
  };
  struct Publication {
    const Path& temporary;
    const std::string& key;
    bool may_replace = false;
  };

  DirectoryStore(Filesystem& filesystem, Options options);
  Status make_root();
  Status remove_stale_files();
  Result<Temporary> make_temporary();
  void discard(Temporary& temporary);
  Status write_body(File& file, const ObjectBody& body, std::uint64_t begin);
  Status make_directories_of(const Path& object);
  Result<PutOutcome> publish(const Publication& publication);
  Result<PutOutcome> put_now(const PutRequest& request);
  Result<PutOutcome> complete_now(const CompleteRequest& request);
  Result<UploadPage> list_uploads_now(const ListUploadsRequest& request) const;

  Filesystem& filesystem_;
  Options options_;
  Path temporary_directory_;
  std::uint64_t next_temporary_ = 1;
  std::set<Path> durable_directories_;  // whose own entry is synced
  std::set<Path> suspect_directories_;  // whose last sync failed: their entries are made again
  std::map<std::string, Temporary> uploads_;
  std::deque<std::function<void()>> pending_;
  std::binary_semaphore wakeup_{0};
  std::atomic<bool> woken_{false};
};

}  // namespace sluice
