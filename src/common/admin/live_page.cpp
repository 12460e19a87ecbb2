#include "common/admin/live_page.h"

namespace sluice {

const std::string_view kLivePage = R"html(<!doctype html>
<title>Sluice</title>
<pre id="status"></pre>
<script>
setInterval(async () => {
  document.getElementById('status').textContent = await (await fetch('/status')).text();
}, 1000);
</script>
)html";

}  // namespace sluice
