#include "common/s3/multipart_probe.h"

#include <utility>

#include "common/s3/store_wait.h"

namespace sluice {
namespace {

constexpr std::string_view kPart = "sluice: can this be written in parts?\n";

MultipartProbe probe_prefix(ObjectStore& store, const std::string& prefix,
                            const std::string& instance, MonotonicTime until) {
  MultipartProbe probe{.prefix = prefix, .error = {}, .list_error = {}, .abort_error = {}};
  MultipartUpload upload{.key = prefix + ".sluice-probe-" + instance + "~parts", .upload_id = {}};
  auto created = wait_for<std::string>(store, until, [&](auto done) {
    store.create_multipart({.key = upload.key, .content_type = "text/plain"}, std::move(done));
  });
  if (created.error) {
    probe.error = std::move(created.error);
    return probe;
  }
  upload.upload_id = std::move(created.value);
  probe.error = wait_for<UploadedPart>(store, until, [&](auto done) {
                  PartRequest part{.key = upload.key, .upload_id = upload.upload_id};
                  part.body.append(std::as_bytes(std::span(kPart)), nullptr);
                  store.upload_part(std::move(part), std::move(done));
                }).error;
  probe.list_error = wait_for<UploadPage>(store, until, [&](auto done) {
                       store.list_multipart({.prefix = upload.key}, std::move(done));
                     }).error;
  probe.abort_error = wait_for<ObjectStore::Nothing>(store, until, [&](auto done) {
                        store.abort_multipart(upload, std::move(done));
                      }).error;
  return probe;
}

}  // namespace

std::vector<MultipartProbe> probe_multipart(ObjectStore& store, const StoreProbe& probe) {
  const MonotonicTime until = std::chrono::steady_clock::now() + probe.deadline;
  std::vector<MultipartProbe> probes;
  for (const std::string& prefix : probe.prefixes) {
    probes.push_back(probe_prefix(store, prefix, probe.instance, until));
  }
  return probes;
}

}  // namespace sluice
