// S3Client's multipart uploads and listings.
#include "common/s3/s3_answers.h"
#include "common/s3/s3_client.h"
#include "common/s3/s3_error.h"
#include "common/s3/s3_headers.h"
#include "common/s3/s3_listing.h"

namespace sluice {

void S3Client::create_multipart(ObjectName name, StoreCompletion<std::string> completion) {
  Call call{.method = "POST", .key = std::move(name.key), .query = "uploads="};
  call.headers = name_headers(name);
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
  const std::uint32_t number = request.number;
  send(std::move(call), [number, completion = std::move(completion)](Answer answer) {
    std::string etag(answer.response.header("etag"));
    if (!answer.error && etag.empty()) {
      answer.error = unexpected_answer(answer.response, "no ETag in the answer");
    }
    completion(
        {.value = {.number = number, .etag = std::move(etag)}, .error = std::move(answer.error)});
  });
}

void S3Client::complete_multipart(CompleteRequest request, StoreCompletion<PutOutcome> completion) {
  auto text = std::make_shared<std::string>("<CompleteMultipartUpload>");
  for (const UploadedPart& part : request.parts) {
    *text += "<Part><PartNumber>" + std::to_string(part.number) + "</PartNumber><ETag>" +
             xml_escape(part.etag) + "</ETag></Part>";
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
  send(std::move(call), [completion = std::move(completion)](Answer answer) {
    const std::string& body = answer.response.body;
    if (!answer.error && root_element(body) != "CompleteMultipartUploadResult") {
      answer.error = unexpected_answer(answer.response, "the answer does not confirm the upload");
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
