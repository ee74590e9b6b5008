// Follows a link that signs in: its code is in the fragment, which goes to the server only from here.
const code = decodeURIComponent(location.hash.slice(1));
if (code) {
  // Gone from the address before anything else: neither history nor a bookmark keeps it.
  history.replaceState(null, "", location.pathname + location.search);
  const form = document.getElementById("link-form");
  document.getElementById("token-form").hidden = true;
  form.hidden = false;
  form.elements.namedItem("code").value = code;
  form.submit();
}
