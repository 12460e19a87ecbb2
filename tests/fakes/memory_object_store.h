// MemoryObjectStore: an ObjectStore in memory that does what it is told to do wrong, and remembers
// every write. Requests are carried out inside poll(), in the order in which they came; poll()
// never waits.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "common/s3/object_store.h"

namespace sluice {

class MemoryObjectStore final : public ObjectStore {
 public:
  struct Object {
    std::string bytes;
    std::string content_type;
    ObjectMetadata metadata;
    std::string etag;
    [[nodiscard]] std::string value(std::string_view name) const {
      return std::string(metadata_value(metadata, name));
    }
  };
  struct Fault {
    std::string op = {};       // "put", "head", "create", "part", "complete", "list"…; empty: any
    std::string key_has = {};  // empty: any
    int skip = 0;              // that many matching requests pass first
    int times = 1;             // -1: always
    StoreError error = {};
    bool carried_out = false;  // the store does it, the answer is lost
  };

  Capabilities abilities{
      .conditional_put = true, .conditions_proven = true, .metadata = true, .signs_payload = true};
  std::map<std::string, Object> objects;
  std::vector<std::string> writes;      // keys, each time an object appeared
  std::vector<std::string> operations;  // "put key", …, each attempt
  std::size_t overwrites = 0;
  std::size_t aborted = 0;
  bool answers = true;  // false: requests stay in flight
  std::size_t most_in_flight = 0;
  int refreshable = 0;                  // that many times refresh_credentials() has something
  std::optional<WallTime> upload_time;  // that uploads are said to have begun at
  std::vector<Fault> faults;

  [[nodiscard]] std::size_t in_flight() const { return pending_.size(); }
  [[nodiscard]] std::size_t open_uploads() const { return uploads_.size(); }
  [[nodiscard]] std::size_t count(std::string_view prefix) const {
    return static_cast<std::size_t>(
        std::count_if(operations.begin(), operations.end(),
                      [&](const std::string& entry) { return entry.starts_with(prefix); }));
  }

  [[nodiscard]] Capabilities capabilities() const override { return abilities; }
  [[nodiscard]] std::string describe() const override { return "memory"; }

  void put(PutRequest request, StoreCompletion<PutOutcome> completion) override {
    const std::string key = request.name.key;
    submit<PutOutcome>("put", key, std::move(completion),
                       [this, request = std::move(request)](StoreResult<PutOutcome>& result) {
                         store(request.name, text_of(request.body), request.if_none_match, result);
                       });
  }
  void head(std::string key, StoreCompletion<std::optional<ObjectInfo>> completion) override {
    submit<std::optional<ObjectInfo>>(
        "head", key, std::move(completion),
        [this, key](StoreResult<std::optional<ObjectInfo>>& result) {
          if (const auto found = objects.find(key); found != objects.end()) {
            result.value =
                ObjectInfo{.bytes = found->second.bytes.size(), .etag = found->second.etag};
            if (abilities.metadata) {
              result.value->metadata = found->second.metadata;
            }
          }
        });
  }
  void get(GetRequest request, StoreCompletion<std::optional<std::string>> completion) override {
    submit<std::optional<std::string>>(
        "get", request.key, std::move(completion),
        [this, key = request.key](StoreResult<std::optional<std::string>>& result) {
          if (const auto found = objects.find(key); found != objects.end()) {
            result.value = found->second.bytes;
          }
        });
  }
  void create_multipart(ObjectName name, StoreCompletion<std::string> completion) override {
    const std::string key = name.key;
    submit<std::string>("create", key, std::move(completion),
                        [this, name = std::move(name)](StoreResult<std::string>& result) {
                          result.value = "upload-" + std::to_string(++uploads_made_);
                          uploads_[result.value] = {.name = name, .initiated_at = upload_time};
                        });
  }
  void upload_part(PartRequest request, StoreCompletion<UploadedPart> completion) override {
    const std::string key = request.key;
    submit<UploadedPart>("part", key, std::move(completion),
                         [this, request = std::move(request)](StoreResult<UploadedPart>& result) {
                           const auto found = uploads_.find(request.upload_id);
                           if (found == uploads_.end()) {
                             result.error = lost();
                             return;
                           }
                           found->second.parts[request.number] = text_of(request.body);
                           result.value = {.number = request.number,
                                           .etag = "part-" + std::to_string(request.number)};
                         });
  }
  void complete_multipart(CompleteRequest request,
                          StoreCompletion<PutOutcome> completion) override {
    const std::string key = request.key;
    submit<PutOutcome>("complete", key, std::move(completion),
                       [this, request = std::move(request)](StoreResult<PutOutcome>& result) {
                         complete(request, result);
                       });
  }
  void abort_multipart(MultipartUpload upload, StoreCompletion<Nothing> completion) override {
    submit<Nothing>("abort", upload.key, std::move(completion),
                    [this, upload](StoreResult<Nothing>& /*result*/) {
                      aborted += uploads_.erase(upload.upload_id);
                    });
  }
  void list(ListRequest request, StoreCompletion<ObjectPage> completion) override {
    submit<ObjectPage>(
        "list", request.prefix, std::move(completion),
        [this, request](StoreResult<ObjectPage>& result) { result.value = page_of(request); });
  }
  void list_multipart(ListUploadsRequest request, StoreCompletion<UploadPage> completion) override {
    submit<UploadPage>(
        "list_multipart", request.prefix, std::move(completion),
        [this, request](StoreResult<UploadPage>& result) { result.value = page_of(request); });
  }
  void remove(std::string key, StoreCompletion<Nothing> completion) override {
    submit<Nothing>("remove", key, std::move(completion),
                    [this, key](StoreResult<Nothing>& /*result*/) { objects.erase(key); });
  }
  void leave_out_conditions() override {
    abilities.conditional_put = abilities.conditions_proven = false;
  }
  bool refresh_credentials() override { return refreshable > 0 && refreshable-- > 0; }

  void poll(MonotonicTime /*until*/) override {
    most_in_flight = std::max(most_in_flight, pending_.size());
    std::deque<std::function<void()>> ready;
    if (answers) {
      ready.swap(pending_);
    }
    for (const auto& request : ready) {
      request();
    }
  }
  void wake() override {}

  // The multipart upload is gone, as after its days in a lifecycle rule.
  void forget_uploads() { uploads_.clear(); }

 private:
  struct Upload {
    ObjectName name;
    std::map<std::uint32_t, std::string> parts = {};
    std::optional<WallTime> initiated_at = {};
  };

  [[nodiscard]] ObjectPage page_of(const ListRequest& request) const {
    const std::string& after =
        request.continuation.empty() ? request.start_after : request.continuation;
    ObjectPage page;
    for (auto at = objects.upper_bound(after); at != objects.end(); ++at) {
      if (!at->first.starts_with(request.prefix)) {
        continue;
      }
      if (page.objects.size() == std::clamp(request.objects_max, 1U, kPageItemsMax)) {
        page.continuation = page.objects.back().key;
        break;
      }
      page.objects.push_back(
          {.key = at->first, .bytes = at->second.bytes.size(), .etag = at->second.etag});
    }
    return page;
  }
  [[nodiscard]] UploadPage page_of(const ListUploadsRequest& request) const {
    std::map<std::pair<std::string, std::string>, std::optional<WallTime>> ordered;
    for (const auto& [id, upload] : uploads_) {
      if (upload.name.key.starts_with(request.prefix)) {
        ordered.emplace(std::pair(upload.name.key, id), upload.initiated_at);
      }
    }
    UploadPage page;
    for (auto at = ordered.upper_bound({request.after.key, request.after.upload_id});
         at != ordered.end(); ++at) {
      if (page.uploads.size() == std::clamp(request.uploads_max, 1U, kPageItemsMax)) {
        const MultipartUpload& last = page.uploads.back().upload;
        page.next = {.key = last.key, .upload_id = last.upload_id};
        break;
      }
      page.uploads.push_back({.upload = {.key = at->first.first, .upload_id = at->first.second},
                              .initiated_at = at->second});
    }
    return page;
  }

  static std::string text_of(const ObjectBody& body) {
    std::string text(body.size(), '\0');
    body.read(0, std::as_writable_bytes(std::span(text)));
    return text;
  }
  static StoreError lost() {
    return {.kind = StoreErrorKind::upload_lost, .http_status = 404, .code = "NoSuchUpload"};
  }

  template <class T>
  void submit(const char* op, const std::string& key, StoreCompletion<T> completion,
              std::function<void(StoreResult<T>&)> work) {
    pending_.emplace_back(
        [this, op, key, completion = std::move(completion), work = std::move(work)] {
          operations.push_back(std::string(op) + " " + key);
          StoreResult<T> result;
          Fault* fault = take_fault(op, key);
          if (fault == nullptr || fault->carried_out) {
            work(result);
          }
          if (fault != nullptr) {
            result.error = fault->error;
          }
          completion(std::move(result));
        });
  }

  Fault* take_fault(std::string_view op, const std::string& key) {
    for (Fault& fault : faults) {
      if ((!fault.op.empty() && fault.op != op) || key.find(fault.key_has) == std::string::npos ||
          fault.times == 0) {
        continue;
      }
      if (fault.skip > 0) {
        fault.skip -= 1;
        continue;
      }
      fault.times -= fault.times > 0 ? 1 : 0;
      return &fault;
    }
    return nullptr;
  }

  void store(const ObjectName& name, std::string text, bool if_none_match,
             StoreResult<PutOutcome>& result) {
    if (const auto found = objects.find(name.key); found != objects.end()) {
      if (!abilities.metadata && found->second.bytes == text) {
        result.value.found_equal = true;
        return;
      }
      if (if_none_match && abilities.conditional_put) {
        result.error = StoreError{
            .kind = StoreErrorKind::exists, .http_status = 412, .code = "PreconditionFailed"};
        return;
      }
      overwrites += 1;
    }
    result.value.etag = "etag-" + std::to_string(writes.size());
    writes.push_back(name.key);
    objects[name.key] = {.bytes = std::move(text),
                         .content_type = name.content_type,
                         .metadata = name.metadata,
                         .etag = result.value.etag};
  }

  void complete(const CompleteRequest& request, StoreResult<PutOutcome>& result) {
    const auto found = uploads_.find(request.upload_id);
    if (found == uploads_.end() || request.parts.size() != found->second.parts.size()) {
      result.error = lost();
      return;
    }
    std::string text;
    for (const auto& [number, part] : found->second.parts) {
      text += part;
    }
    store(found->second.name, std::move(text), request.if_none_match, result);
    if (!result.error) {
      uploads_.erase(found);
    }
  }

  std::deque<std::function<void()>> pending_;
  std::map<std::string, Upload> uploads_;
  std::uint64_t uploads_made_ = 0;
};

}  // namespace sluice
