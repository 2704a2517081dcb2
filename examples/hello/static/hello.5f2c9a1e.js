// The name carries a hash, as a bundler would write it: such a file may be cached for ever.
document.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/upload", { method: "POST", body: new FormData(event.target) });
  const { url } = await answer.json();
  event.target.insertAdjacentHTML("afterend", `<p>Stored as <a href="${encodeURI(url)}">${encodeURI(url)}</a></p>`);
});
