"""What a device measures beside its images: names, columns and units; and a window of it for each frame."""

SENSORS: dict[str, dict[str, str]] = {
    "imu": {
        **{f"gyro_{axis}": "rad/s, camera axes" for axis in "xyz"},
        **{f"accel_{axis}": "m/s2, camera axes; specific force: at rest 9.81 upwards" for axis in "xyz"},
    },
    "magnetometer": {f"mag_{axis}": "microtesla, camera axes" for axis in "xyz"},
    "light": {"lux": "lux"},
    "gps": {
        "latitude": "degrees",
        "longitude": "degrees",
        "altitude": "m",
        "accuracy": "m, horizontal, one deviation; null if unknown",
    },
    "attitude": {f"q{axis}": "quaternion, camera axes (OpenCV) to the recording's world" for axis in "xyzw"},
    "pose": {
        **dict.fromkeys("xyz", "m, position of the camera in the world"),
        **{f"q{axis}": "quaternion, camera axes (OpenCV) to the world" for axis in "xyzw"},
    },
    "audio": {"samples": "list of int16: the samples from `time` on, at the rate in the table's metadata"},
}
"""Columns of each sensor's table beside `time` (float64 seconds of the frames' clock, ascending). All are float64 but
`samples`. A sensor that lacks a column (an IMU without a gyroscope) has nulls there."""
