// The slider between an image before and after. The range input makes it work with the keyboard.

export function makeComparison(box) {
  const range = box.querySelector("input");
  const show = () => {
    box.style.setProperty("--cut", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value}% near-infrared, ${100 - range.value}% colour`);
  };
  const follow = (event) => {
    const place = box.getBoundingClientRect();
    range.value = (100 * (event.clientX - place.left)) / place.width;
    show();
  };
  range.addEventListener("input", show);
  box.addEventListener("pointerdown", (event) => {
    if (range.hidden || event.target.closest(".views")) return;
    box.setPointerCapture(event.pointerId);
    range.focus({ preventScroll: true, focusVisible: false });
    event.preventDefault();
    follow(event);
  });
  box.addEventListener("pointermove", (event) => {
    if (event.buttons && !range.hidden) follow(event);
  });
  show();
}
