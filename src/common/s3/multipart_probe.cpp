#include "common/s3/multipart_probe.h"

#include <functional>
#include <memory>
#include <utility>

namespace sluice {
namespace {

constexpr std::string_view kPart = "sluice: can this be written in parts?\n";

StoreError no_answer() {
  return {.kind = StoreErrorKind::retry, .code = "Timeout", .message = "no answer in time"};
}

// Starts one request and drives the store until its answer, or the deadline.
template <class T>
StoreResult<T> wait(ObjectStore& store, MonotonicTime until,
                    const std::function<void(StoreCompletion<T>)>& start) {
  // Shared: an answer may come after the deadline.
  const auto result = std::make_shared<std::optional<StoreResult<T>>>();
  start([result](StoreResult<T> given) { *result = std::move(given); });
  while (!*result && std::chrono::steady_clock::now() < until) {
    store.poll(until);
  }
  return *result ? std::move(**result) : StoreResult<T>{.value = {}, .error = no_answer()};
}

MultipartProbe probe_prefix(ObjectStore& store, const std::string& prefix,
                            const std::string& instance, MonotonicTime until) {
  MultipartProbe probe{.prefix = prefix, .error = {}, .list_error = {}, .abort_error = {}};
  MultipartUpload upload{.key = prefix + ".sluice-probe-" + instance + "~parts", .upload_id = {}};
  auto created = wait<std::string>(store, until, [&](auto done) {
    store.create_multipart({.key = upload.key, .content_type = "text/plain"}, std::move(done));
  });
  if (created.error) {
    probe.error = std::move(created.error);
    return probe;
  }
  upload.upload_id = std::move(created.value);
  probe.error = wait<UploadedPart>(store, until, [&](auto done) {
                  PartRequest part{.key = upload.key, .upload_id = upload.upload_id};
                  part.body.append(std::as_bytes(std::span(kPart)), nullptr);
                  store.upload_part(std::move(part), std::move(done));
                }).error;
  probe.list_error = wait<UploadPage>(store, until, [&](auto done) {
                       store.list_multipart({.prefix = upload.key}, std::move(done));
                     }).error;
  probe.abort_error = wait<ObjectStore::Nothing>(store, until, [&](auto done) {
                        store.abort_multipart(upload, std::move(done));
                      }).error;
  return probe;
}

}  // namespace

std::vector<MultipartProbe> probe_multipart(ObjectStore& store,
                                            const MultipartProbeRequest& request) {
  const MonotonicTime until = std::chrono::steady_clock::now() + request.deadline;
  std::vector<MultipartProbe> probes;
  for (const std::string& prefix : request.prefixes) {
    probes.push_back(probe_prefix(store, prefix, request.instance, until));
  }
  return probes;
}

}  // namespace sluice
