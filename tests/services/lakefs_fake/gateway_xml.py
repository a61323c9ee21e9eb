"""S3's XML: elements, replies, errors by code."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from services.lakefs_fake.wire import Reply, Request

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_STATUS = {
    "AccessDenied": 403,
    "SignatureDoesNotMatch": 403,
    "ErrWriteToProtectedBranch": 403,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchVersion": 404,
    "ERRLakeFSNotSupported": 405,
    "BucketAlreadyExists": 409,
    "PreconditionFailed": 412,
    "InvalidRange": 416,
    "BadRequest": 400,
    "InvalidArgument": 400,
    "InvalidRequest": 400,
    "MalformedXML": 400,
    "InternalError": 500,
    "NotImplemented": 501,
}


def element(name: str, text: str | None = None, parent: ET.Element | None = None) -> ET.Element:
    made = ET.Element(name) if parent is None else ET.SubElement(parent, name)
    made.text = text
    return made


def xml_reply(root: ET.Element, status: int = 200) -> Reply:
    if status == 200:
        root.set("xmlns", _NAMESPACE)
    body = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return Reply(status, body, {"Content-Type": "application/xml"})


class S3Error(Exception):
    """An S3 error code, answered with its status."""

    def __init__(self, code: str, message: str = "") -> None:
        self.code, self.message = code, message or code
        super().__init__(self.message)

    def reply(self, request: Request) -> Reply:
        root = element("Error")
        element("Code", self.code, root)
        element("Message", self.message, root)
        element("Resource", request.path, root)
        return xml_reply(root, _STATUS[self.code])


def texts(body: bytes, name: str) -> list[str]:
    """The texts of all elements of a name, whatever their XML namespace."""
    try:
        root = ET.fromstring(body)
    except ET.ParseError as error:
        raise S3Error("MalformedXML", str(error)) from error
    return [found.text or "" for found in root.iter() if found.tag.rpartition("}")[2] == name]
