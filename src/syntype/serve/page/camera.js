// A photograph from this device's camera: phones have an app for it, which the file field opens;
// elsewhere the camera is shown in a dialog until the picture is taken.

import { by, el } from "./elements.js";

/** Whether the file field opens a camera by itself. */
const phone = matchMedia("(pointer: coarse)");

/** Let a button photograph; `take` gets the file, `fail` what went wrong. */
export function makeCamera(button, input, take, fail) {
  const dialog = by("shutter");
  const video = by("shutter-video");
  button.hidden = !phone.matches && !navigator.mediaDevices?.getUserMedia;
  const stop = () => {
    for (const track of video.srcObject?.getTracks() ?? []) track.stop();
    video.srcObject = null;
  };
  button.addEventListener("click", async () => {
    if (phone.matches) return input.click();
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
    } catch {
      return fail();
    }
    dialog.showModal();
    await video.play();
    by("shutter-take").focus();
  });
  by("shutter-take").addEventListener("click", async () => {
    const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    dialog.close();
    if (blob) take([new File([blob], "photograph.jpg", { type: "image/jpeg" })]);
  });
  by("shutter-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", stop);
}
