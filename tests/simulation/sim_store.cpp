#include "simulation/sim_store.h"

#include <algorithm>

namespace sluice::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// AWS, "Authenticating Requests": a signature is good for so long.
constexpr minutes kSignatureLife{15};

std::string text_of(const ObjectBody& body) {
  std::string text(body.size(), '\0');
  body.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

StoreError upload_lost() {
  return {.kind = StoreErrorKind::upload_lost, .http_status = 404, .code = "NoSuchUpload"};
}

std::string folder_of(const std::string& key) { return key.substr(0, key.find('/')); }

}  // namespace

// ---- the remote side ----------------------------------------------------------------------------

void RemoteStore::run_due() {
  while (!due_.empty() && due_.begin()->first.first <= clock_.now()) {
    const auto work = std::move(due_.begin()->second);
    due_.erase(due_.begin());
    work();
  }
}

MonotonicTime RemoteStore::next_at() const {
  return due_.empty() ? MonotonicTime::max() : due_.begin()->first.first;
}

void RemoteStore::clear_up() {
  weather.faulty = false;
  denied_until_.clear();
}

void RemoteStore::at(MonotonicTime time, std::function<void()> work) {
  due_.emplace(std::pair(time, number_++), std::move(work));
}

MonotonicTime RemoteStore::soon() {
  return clock_.now() +
         milliseconds(random_.one_in(10) ? random_.below(20'000) : random_.below(50));
}

StoreError RemoteStore::fault(bool writes) {
  // A look that is refused twice is given up, as one that is denied.
  const std::uint64_t first = writes || weather.denials ? 0 : 2;
  switch (first + random_.below((writes ? 9 : 6) - first)) {
    case 0:
      return {
          .kind = StoreErrorKind::refresh_credentials, .http_status = 400, .code = "ExpiredToken"};
    case 1:
      return {
          .kind = StoreErrorKind::clock_skew, .http_status = 403, .code = "RequestTimeTooSkewed"};
    case 2:
      return {.kind = StoreErrorKind::retry, .http_status = 500, .code = "InternalError"};
    case 3:
      return {.kind = StoreErrorKind::retry,
              .http_status = 503,
              .code = "SlowDown",
              .retry_after = milliseconds(random_.below(3000)),
              .slow_down = true};
    case 4:
    case 5:
      return {.kind = StoreErrorKind::retry, .code = "Timeout"};
    case 6:
      return {.kind = StoreErrorKind::conflict, .http_status = 409, .code = "OperationAborted"};
    case 7:
      return {.kind = StoreErrorKind::retry, .http_status = 400, .code = "BadDigest"};
    default:
      return {.kind = StoreErrorKind::retry, .http_status = 200, .code = "ChecksumMismatch"};
  }
}

RemoteStore::Fate RemoteStore::fate_of(std::string_view op, const std::string& key, bool writes) {
  ++counts.requests;
  if (planned && planned->request == counts.requests) {
    return {.carried_out = planned->carried_out, .again_after = {}, .error = planned->error};
  }
  if (weather.faulty && random_.one_in(weather.amnesia_one_in)) {
    uploads.clear();
  }
  if (weather.faulty && writes && keys_seen_.insert(key).second &&
      random_.one_in(weather.refusal_one_in)) {
    refused_keys.insert(key);
    ++counts.refused_keys;
  }
  if (writes && refused_keys.contains(key)) {
    return {
        .carried_out = false,
        .again_after = {},
        .error = StoreError{
            .kind = StoreErrorKind::this_object, .http_status = 400, .code = "InvalidArgument"}};
  }
  if (weather.faulty && weather.denials && random_.one_in(weather.denial_one_in)) {
    denied_until_[folder_of(key)] = clock_.now() + seconds(random_.between(1, 600));
    ++counts.denials;
  }
  if (const auto denied = denied_until_.find(folder_of(key));
      denied != denied_until_.end() && clock_.now() < denied->second) {
    return {.carried_out = false,
            .again_after = {},
            .error = StoreError{
                .kind = StoreErrorKind::configuration, .http_status = 403, .code = "AccessDenied"}};
  }
  Fate fate;
  if (!weather.faulty || !random_.one_in(weather.fault_one_in)) {
    if (weather.faulty && writes && op != "part" && random_.one_in(20)) {
      ++counts.twice;  // a proxy repeats it
      fate.again_after = milliseconds(random_.below(kSignatureLife / milliseconds(1)));
    }
    return fate;
  }
  ++counts.faults;
  fate.error = fault(writes);
  const bool answer_lost = fate.error->code == "Timeout" || fate.error->code == "InternalError" ||
                           fate.error->code == "ChecksumMismatch";
  fate.carried_out = answer_lost && random_.one_in(2);
  counts.lost_answers += fate.carried_out ? 1 : 0;
  if (writes && !fate.carried_out && fate.error->code == "Timeout" && random_.one_in(2)) {
    ++counts.late;
    fate.again_after = milliseconds(random_.below(kSignatureLife / milliseconds(1)));
  }
  return fate;
}

// The one place where an object comes to be.
void RemoteStore::note_write(const std::string& key, Object object) {
  const auto found = objects.find(key);
  if (found != objects.end() && found->second.bytes != object.bytes) {
    violations.push_back("object " + key + " was written over with other bytes");
  }
  objects[key] = std::move(object);
}

void RemoteStore::put(const ObjectName& name, std::string bytes, bool if_none_match,
                      StoreResult<PutOutcome>& result) {
  if (const auto found = objects.find(name.key); found != objects.end()) {
    if (!abilities.metadata && found->second.bytes == bytes) {
      result.value = {.etag = found->second.etag, .found_equal = true};
      return;
    }
    if (if_none_match && abilities.conditional_put) {
      ++counts.conditions_met;
      result.error = StoreError{
          .kind = StoreErrorKind::exists, .http_status = 412, .code = "PreconditionFailed"};
      return;
    }
  }
  result.value.etag = "etag-" + std::to_string(number_++);
  note_write(name.key, {std::move(bytes), name.metadata, result.value.etag});
}

void RemoteStore::complete(const CompleteRequest& request, StoreResult<PutOutcome>& result) {
  const auto found = uploads.find(request.upload_id);
  if (found == uploads.end()) {
    result.error = upload_lost();
    return;
  }
  std::string bytes;
  for (const UploadedPart& part : request.parts) {
    const auto stored = found->second.parts.find(part.number);
    if (stored == found->second.parts.end()) {
      result.error = upload_lost();
      return;
    }
    bytes += stored->second;
  }
  put(found->second.name, std::move(bytes), request.if_none_match, result);
  if (!result.error) {
    uploads.erase(request.upload_id);
  }
}

// ---- one process's side -------------------------------------------------------------------------

SimStore::SimStore(RemoteStore& remote, int host, std::function<bool()> halted)
    : remote_(remote), host_(host), halted_(std::move(halted)), abilities_(remote.abilities) {}

SimStore::~SimStore() = default;

void SimStore::poll(MonotonicTime /*until*/) {
  remote_.run_due();
  while (!answers_->ready.empty()) {
    const auto answer = std::move(answers_->ready.front());
    answers_->ready.pop_front();
    answer();
  }
}

template <class T>
void SimStore::submit(std::string_view op, const std::string& key, bool writes,
                      StoreCompletion<T> completion, std::function<void(StoreResult<T>&)> work) {
  if (halted_()) {
    return;
  }
  const RemoteStore::Fate fate = remote_.fate_of(op, key, writes);
  const std::string what = std::string(op) + " " + key;
  remote_.trace_.say(host_, what + (fate.error ? ": will say " + fate.error->code : "") +
                                (fate.carried_out ? "" : ", not carried out") +
                                (fate.again_after ? ", comes again" : ""));
  auto result = std::make_shared<StoreResult<T>>();
  const MonotonicTime begun = remote_.soon();
  const MonotonicTime answered = std::max(begun, remote_.soon());
  const std::weak_ptr<Answers> answers = answers_;
  RemoteStore* remote = &remote_;
  if (remote_.silent) {
    return;
  }
  remote_.at(begun, [remote, answers, fate, result, work] {
    remote->counts.after_death += fate.carried_out && answers.expired() ? 1 : 0;
    if (fate.carried_out) {
      work(*result);
    }
  });
  if (fate.again_after) {
    remote_.at(begun + *fate.again_after, [remote, answers, work] {
      remote->counts.after_death += answers.expired() ? 1 : 0;
      StoreResult<T> nobody_hears;
      work(nobody_hears);
    });
  }
  const std::uint64_t number = remote_.number_++;
  answers_->waiting[number] = [fate, result, completion = std::move(completion)] {
    if (fate.error) {
      completion(StoreResult<T>{.value = {}, .error = fate.error});
    } else {
      completion(std::move(*result));
    }
  };
  remote_.at(answered, [answers, number] {
    if (const auto alive = answers.lock()) {
      alive->ready.push_back(std::move(alive->waiting.extract(number).mapped()));
    }
  });
}

void SimStore::put(PutRequest request, StoreCompletion<PutOutcome> completion) {
  const std::string key = request.name.key;
  // The bytes are copied: what is on its way outlives the sender's memory.
  submit<PutOutcome>(
      "put", key, true, std::move(completion),
      [remote = &remote_, name = request.name, bytes = text_of(request.body),
       condition = request.if_none_match && abilities_.conditional_put](
          StoreResult<PutOutcome>& result) { remote->put(name, bytes, condition, result); });
}

void SimStore::head(std::string key, StoreCompletion<std::optional<ObjectInfo>> completion) {
  submit<std::optional<ObjectInfo>>(
      "head", key, false, std::move(completion),
      [remote = &remote_, key](StoreResult<std::optional<ObjectInfo>>& result) {
        if (const auto found = remote->objects.find(key); found != remote->objects.end()) {
          result.value = ObjectInfo{
              .bytes = found->second.bytes.size(), .etag = found->second.etag, .metadata = {}};
          if (remote->abilities.metadata) {
            result.value->metadata = found->second.metadata;
          }
        }
      });
}

void SimStore::get(GetRequest request, StoreCompletion<std::optional<std::string>> completion) {
  submit<std::optional<std::string>>(
      "get", request.key, false, std::move(completion),
      [remote = &remote_, key = request.key](StoreResult<std::optional<std::string>>& result) {
        if (const auto found = remote->objects.find(key); found != remote->objects.end()) {
          result.value = found->second.bytes;
        }
      });
}

void SimStore::create_multipart(ObjectName name, StoreCompletion<std::string> completion) {
  const std::string key = name.key;
  submit<std::string>(
      "create", key, true, std::move(completion),
      [remote = &remote_, host = host_, name = std::move(name)](StoreResult<std::string>& result) {
        ++remote->counts.multipart;
        result.value = "upload-" + std::to_string(remote->number_++);
        remote->uploads[result.value] = {
            .name = name, .initiated_at = remote->clock_.wall_now(), .host = host};
      });
}

void SimStore::upload_part(PartRequest request, StoreCompletion<UploadedPart> completion) {
  submit<UploadedPart>(
      "part", request.key, true, std::move(completion),
      [remote = &remote_, id = request.upload_id, number = request.number,
       bytes = text_of(request.body)](StoreResult<UploadedPart>& result) {
        const auto found = remote->uploads.find(id);
        if (found == remote->uploads.end()) {
          result.error = upload_lost();
          return;
        }
        found->second.parts[number] = bytes;
        result.value = {.number = number, .etag = "part-" + std::to_string(number), .checksum = {}};
      });
}

void SimStore::complete_multipart(CompleteRequest request, StoreCompletion<PutOutcome> completion) {
  const std::string key = request.key;
  request.if_none_match = request.if_none_match && abilities_.conditional_put;
  submit<PutOutcome>("complete", key, true, std::move(completion),
                     [remote = &remote_, request = std::move(request)](
                         StoreResult<PutOutcome>& result) { remote->complete(request, result); });
}

void SimStore::abort_multipart(MultipartUpload upload, StoreCompletion<Nothing> completion) {
  const std::string key = upload.key;
  submit<Nothing>(
      "abort", key, false, std::move(completion),
      [remote = &remote_, host = host_, upload](StoreResult<Nothing>& /*result*/) {
        const auto found = remote->uploads.find(upload.upload_id);
        if (found != remote->uploads.end()) {
          if (found->second.host != host) {
            remote->violations.push_back("host " + std::to_string(host) +
                                         " aborted the upload of another: " + upload.key);
          }
          remote->uploads.erase(found);
        }
      });
}

void SimStore::list(ListRequest request, StoreCompletion<ObjectPage> completion) {
  submit<ObjectPage>(
      "list", request.prefix, false, std::move(completion),
      [remote = &remote_, prefix = request.prefix](StoreResult<ObjectPage>& result) {
        for (const auto& [key, object] : remote->objects) {
          if (key.starts_with(prefix)) {
            result.value.objects.push_back(
                {.key = key, .bytes = object.bytes.size(), .etag = object.etag, .modified_at = {}});
          }
        }
      });
}

void SimStore::list_multipart(ListUploadsRequest request, StoreCompletion<UploadPage> completion) {
  submit<UploadPage>(
      "list_uploads", request.prefix, false, std::move(completion),
      [remote = &remote_, prefix = request.prefix](StoreResult<UploadPage>& result) {
        for (const auto& [id, upload] : remote->uploads) {
          if (upload.name.key.starts_with(prefix)) {
            result.value.uploads.push_back({.upload = {.key = upload.name.key, .upload_id = id},
                                            .initiated_at = upload.initiated_at});
          }
        }
      });
}

void SimStore::remove(std::string key, StoreCompletion<Nothing> completion) {
  submit<Nothing>("remove", key, false, std::move(completion),
                  [remote = &remote_, key](StoreResult<Nothing>& /*result*/) {
                    remote->violations.push_back("object " + key + " was removed");
                    remote->objects.erase(key);
                  });
}

}  // namespace sluice::simulation
