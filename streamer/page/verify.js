// Sends a film to POST /v1/verify and shows the report.

const byId = (id) => document.getElementById(id);

const MANIFEST = {
  trusted: "Its manifest is whole, and its issuer is on the server's trust list.",
  valid: "Its manifest is whole; nobody vouches for its issuer (unverified issuer).",
  invalid: "Its manifest is broken: the film was changed after it was signed.",
  none: "It carries no manifest.",
};

function sentences({ manifest, watermark, cannot_say: doubts }) {
  const lines = [MANIFEST[manifest.state]];
  if (manifest.made_with !== null) {
    lines.push(`The manifest says: made with ${manifest.made_with}, signed by ${manifest.issuer}.`);
  }
  for (const [first, last, payload] of watermark.places) {
    lines.push(`Watermark from ${first} s to ${last} s: ${payload}.`);
  }
  if (watermark.places.length === 0) {
    lines.push(`No watermark in ${watermark.windows} stretches that show a face.`);
  }
  return [...lines, ...doubts];
}

function show(state, lines = []) {
  byId("state").textContent = state;
  byId("report").replaceChildren(
    ...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })),
  );
}

async function verify() {
  const key = byId("key").value;
  const headers = { "Content-Type": "application/octet-stream", ...(key && { Authorization: `Bearer ${key}` }) };
  const answer = await fetch("/v1/verify", { method: "POST", headers, body: byId("film").files[0] });
  const body = await answer.json();
  if (!answer.ok) {
    show(body.error.message);
    return;
  }
  show(body.marked ? "This film is marked as synthetic." : "No mark was found in this film.", sentences(body));
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  show("Reading the film …");
  verify().catch((error) => show(`The server cannot be reached (${error.message}).`));
});
