// A COCO document from a JSON answer; the run lengths are COCO's already.

/** `classes` are all of the model's; category ids count from 1, as the service's own do. */
export function cocoDocument(answer, classes, name) {
  return {
    images: [{ id: 1, file_name: name, width: answer.width, height: answer.height }],
    categories: classes.map((entry) => ({ id: entry.id + 1, name: entry.name, supercategory: "" })),
    annotations: answer.classes.map((entry, index) => ({
      id: index + 1,
      image_id: 1,
      category_id: entry.id + 1,
      iscrowd: 1,
      area: entry.pixels,
      bbox: entry.box,
      segmentation: entry.mask,
    })),
  };
}
