"""What the OpenVINO backend changes in a graph before it compiles it: its layout, and no number."""

import numpy as np
import openvino
from openvino import opset13

from models.backends.openvino import _channels_last

SIZE = (2, 32, 20, 24)
BOXES = np.array([[1, 2, 17, 12], [0, 0, 24, 20], [5.5, 3.25, 9, 4]], np.float32)
PHOTO = np.array([0, 1, 1], np.int32)


def aligning() -> openvino.Model:
    """RoIAlign as detectors use it, over features, boxes and the numbers of their photos."""
    features = opset13.parameter(SIZE, np.float32, name="features")
    boxes, photo = opset13.parameter([3, 4], np.float32, name="boxes"), opset13.parameter([3], np.int32, name="photo")
    aligned = opset13.roi_align(features, boxes, photo, 7, 7, 2, 1.0, "avg", "asymmetric")
    return openvino.Model([aligned], [features, boxes, photo])


def read(model: openvino.Model) -> np.ndarray:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    features = np.random.default_rng(0).normal(size=SIZE).astype(np.float32)
    (found,) = compiled({"features": features, "boxes": BOXES, "photo": PHOTO}).values()
    return np.array(found)


def test_regions_are_read_alike_after_a_convolution_that_changes_nothing() -> None:
    plain, changed = aligning(), aligning()
    _channels_last(changed)
    (align,) = [node for node in changed.get_ops() if node.get_type_name() == "ROIAlign"]
    assert align.input_value(0).get_node().get_type_name() == "GroupConvolution"
    assert list(align.input_value(0).get_shape()) == list(SIZE)
    np.testing.assert_allclose(read(changed), read(plain), rtol=1e-5, atol=1e-5)


def test_what_reads_no_regions_stays_as_it_is() -> None:
    image = opset13.parameter([1, 3, 8, 8], np.float32, name="image")
    model = openvino.Model([opset13.relu(image)], [image])
    before = [node.get_friendly_name() for node in model.get_ops()]
    _channels_last(model)
    assert [node.get_friendly_name() for node in model.get_ops()] == before
