// S3Client's multipart uploads and listings.
#include "common/s3/s3_answers.h"
#include "common/s3/s3_client.h"
#include "common/s3/s3_error.h"
#include "common/s3/s3_headers.h"
#include "common/s3/s3_listing.h"

namespace sluice {

void S3Client::create_multipart(ObjectName name, StoreCompletion<std::string> completion) {
  Call call{.method = "POST", .key = std::move(name.key), .query = "uploads="};
  call.headers = object_headers(name, options_.terms);
  if (const auto algorithm = algorithm_name(options_.terms.checksum); !algorithm.empty()) {
    call.headers.emplace_back("x-amz-checksum-algorithm", algorithm);
  }
  call.has_body = true;  // of no bytes: some stores want a Content-Length
  send(std::move(call), [completion = std::move(completion)](Answer answer) {
    std::string id = element_text(answer.response.body, {.name = "UploadId"});
    if (!answer.error && id.empty()) {
      answer.error = unexpected_answer(answer.response, "no UploadId in the answer");
    }
    completion({.value = std::move(id), .error = std::move(answer.error)});
  });
}

void S3Client::upload_part(PartRequest request, StoreCompletion<UploadedPart> completion) {
  Call call{.method = "PUT",
            .key = std::move(request.key),
            .query = "partNumber=" + std::to_string(request.number) +
                     "&uploadId=" + sigv4::uri_encode(request.upload_id, false),
            .body = std::move(request.body),
            .sha256 = request.sha256,
            .has_body = true};
  ContentChecksum checksum = add_checksum(call);
  const ObjectBody body = call.body;
  send(std::move(call), [number = request.number, body, checksum = std::move(checksum),
                         opaque = options_.terms.encrypts_by_kms(),
                         completion = std::move(completion)](Answer answer) {
    const HttpResponse& response = answer.response;
    if (!answer.error) {
      answer.error = content_mismatch(response, body, checksum, opaque);
    }
    completion({.value = {.number = number,
                          .etag = std::string(response.header("etag")),
                          .checksum = std::string(confirmed_checksum(response, checksum.kind))},
                .error = std::move(answer.error)});
  });
}

void S3Client::complete_multipart(CompleteRequest request, StoreCompletion<PutOutcome> completion) {
  const S3Checksum kind = options_.terms.checksum;
  const std::string element = "Checksum" + std::string(algorithm_name(kind));
  auto text = std::make_shared<std::string>("<CompleteMultipartUpload>");
  for (const UploadedPart& part : request.parts) {
    *text += "<Part><PartNumber>" + std::to_string(part.number) + "</PartNumber><ETag>" +
             xml_escape(part.etag) + "</ETag>";
    if (!part.checksum.empty()) {
      text->append("<").append(element).append(">").append(xml_escape(part.checksum));
      text->append("</").append(element).append(">");
    }
    *text += "</Part>";
  }
  *text += "</CompleteMultipartUpload>";
  Call call{.method = "POST",
            .key = std::move(request.key),
            .query = "uploadId=" + sigv4::uri_encode(request.upload_id, false),
            .headers = {{"content-type", "application/xml"}},
            .has_body = true};
  call.body.append(std::as_bytes(std::span(*text)), text);
  if (request.if_none_match && conditional_put_) {
    call.headers.emplace_back("if-none-match", "*");
  }
  std::string ours = composite_checksum(request.parts, kind);
  send(std::move(call), [element, ours = std::move(ours),
                         completion = std::move(completion)](Answer answer) {
    const std::string& body = answer.response.body;
    if (!answer.error && root_element(body) != "CompleteMultipartUploadResult") {
      answer.error = unexpected_answer(answer.response, "the answer does not confirm the upload");
    }
    // One without the number of parts is of another kind.
    const std::string theirs = element_text(body, {.name = element});
    if (!answer.error && !ours.empty() && theirs.find('-') != std::string::npos && theirs != ours) {
      answer.error =
          unexpected_answer(answer.response, "the store confirmed another checksum than " + ours);
      answer.error->code = "ChecksumMismatch";
    }
    completion({.value = {.etag = element_text(body, {.name = "ETag"})},
                .error = std::move(answer.error)});
  });
}

void S3Client::abort_multipart(MultipartUpload upload, StoreCompletion<Nothing> completion) {
  send({.method = "DELETE",
        .key = std::move(upload.key),
        .query = "uploadId=" + sigv4::uri_encode(upload.upload_id, false)},
       [completion = std::move(completion)](Answer answer) {
         if (answer.error && answer.error->kind == StoreErrorKind::upload_lost) {
           answer.error.reset();
         }
         completion({.value = {}, .error = std::move(answer.error)});
       });
}

void S3Client::list(ListRequest request, StoreCompletion<ObjectPage> completion) {
  send({.method = "GET", .query = listing_query(request), .answer_bytes_max = kListingBytesMax},
       [completion = std::move(completion)](Answer answer) {
         std::optional<ObjectPage> page;
         if (!answer.error && !(page = parse_object_page(answer.response.body))) {
           answer.error = unexpected_answer(answer.response, "the answer is no list of objects");
         }
         completion(
             {.value = std::move(page).value_or(ObjectPage{}), .error = std::move(answer.error)});
       });
}

void S3Client::list_multipart(ListUploadsRequest request, StoreCompletion<UploadPage> completion) {
  send({.method = "GET", .query = listing_query(request), .answer_bytes_max = kListingBytesMax},
       [completion = std::move(completion)](Answer answer) {
         std::optional<UploadPage> page;
         if (!answer.error && !(page = parse_upload_page(answer.response.body))) {
           answer.error = unexpected_answer(answer.response, "the answer is no list of uploads");
         }
         completion(
             {.value = std::move(page).value_or(UploadPage{}), .error = std::move(answer.error)});
       });
}

}  // namespace sluice
