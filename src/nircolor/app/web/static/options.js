// The form with the options of an image.

const COMMAND = { "--bands": "bands", "--scale": "scale", "--offset": "offset", "--nodata": "nodata",
  "--stretch": "stretch", "--reflectance": "reflectance", "--no-reflectance": "reflectance" };

/** Values of the form by field. */
export const values = (form) => Object.fromEntries(new FormData(form));

/** The options for the server: those that are given. */
export const given = (options) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== ""));

/** Show the options of an image, and its models: those that fit first. */
export function fill(form, item, models) {
  const select = form.elements.model;
  const auto = new Option("Automatic", "auto");
  const parts = [auto];
  for (const [title, fits] of [["Fit this image", true], ["Do not fit as it is", false]]) {
    const group = document.createElement("optgroup");
    group.label = title;
    group.append(...item.state.models.filter((one) => one.fits === fits).map((one) => new Option(one.name, one.name)));
    if (group.children.length) parts.push(group);
  }
  select.replaceChildren(...parts);
  for (const field of form.elements) {
    if (field.type === "checkbox") field.checked = field.name in item.options;
    else if (field.name) field.value = item.options[field.name] ?? (field.name === "saturation" ? "1" : field.name === "model" ? "auto" : "");
  }
  changed(form, item, models);
}

const modelOf = (name, item, models) => {
  const used = name === "auto" ? (item.state.model ?? item.state.models[0].name) : name;
  return models.find((one) => one.name === used);
};

/** Whether the model of an image estimates its errors. */
export const estimates = (name, item, models) => Boolean(modelOf(name, item, models)?.confidence);

/** Show what follows from the values of the form. */
export function changed(form, item, models) {
  form.querySelector("#saturationtext").value = Number(form.elements.saturation.value).toFixed(1);
  const name = form.elements.model.value;
  const fit = item.state.models.find((one) => one.name === name);
  const model = modelOf(name, item, models);
  const able = Boolean(model?.confidence);
  form.elements.confidence.disabled = !able;
  form.querySelector("#h-confidence").textContent = able ? "Also an image of how well each colour is determined"
    : `${model?.name} does not estimate its errors`;
  const about = form.querySelector("#about");
  if (fit && !fit.fits) about.textContent = fit.reason;
  else about.textContent = model ? `${model.name}: ${model.summary}. Weights: ${model.licence}.` : "";
}

/** What may solve a problem: options to use, or the field to fill in; null if nothing is known. */
export function suggested(state, problem) {
  const fit = state.models.find((one) => one.name === state.model);
  if (fit?.options && problem.includes(fit.options)) {
    return { text: `Use ${fit.options}`, options: parsed(fit.options) };
  }
  const field = Object.entries(COMMAND).find(([option]) => problem.includes(`${option} `) || problem.endsWith(option));
  return field ? { text: `Set ${field[0]}`, field: field[1] } : null;
}

function parsed(text) {
  const options = {};
  const words = text.split(" ");
  for (let place = 0; place < words.length; place++) {
    if (words[place] === "--reflectance") options.reflectance = "true";
    else if (words[place] === "--no-reflectance") options.reflectance = "false";
    else if (words[place] in COMMAND) options[COMMAND[words[place]]] = words[++place];
  }
  return options;
}
