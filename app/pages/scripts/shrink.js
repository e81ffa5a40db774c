// Makes a photo small enough to send: no side longer than 1600 pixels, upright, in sRGB, as JPEG. The model looks at far less.

const LONGEST = 1600; // pixels
const LIGHT = 600_000; // bytes; a small picture that is no heavier is sent as it is
const QUALITY = 0.8;

// Returns a smaller copy, or the file itself if that is light already, or cannot be decoded here.
export async function shrunk(file) {
  let picture;
  try {
    picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return file; // HEIC in most browsers, and what is no picture at all: the server decides
  }
  try {
    const scale = Math.min(1, LONGEST / Math.max(picture.width, picture.height));
    if (scale === 1 && file.size <= LIGHT) return file;
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    const context = canvas.getContext("2d", { colorSpace: "srgb" });
    context.imageSmoothingQuality = "high";
    context.fillStyle = "white"; // as the server has it for what is transparent
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const copy = await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
    return copy && copy.size < file.size ? copy : file;
  } finally {
    picture.close();
  }
}
