"""The roll-call of components: a class that is not named here does not exist for the program."""

from dam.models.audio_properties_component import AudioPropertiesComponent
from dam.models.content_hash_components import ContentHashMD5Component, ContentHashSHA256Component
from dam.models.document_properties_component import DocumentPropertiesComponent
from dam.models.entity import Entity
from dam.models.file_location_component import FileLocationComponent
from dam.models.file_properties_component import FilePropertiesComponent
from dam.models.frame_properties_component import FramePropertiesComponent
from dam.models.image_capture_component import ImageCaptureComponent
from dam.models.image_dimensions_component import ImageDimensionsComponent
from dam.models.image_perceptual_hash_components import (
    ImagePerceptualAHashComponent,
    ImagePerceptualDHashComponent,
    ImagePerceptualPHashComponent,
)
from dam.models.original_source_info_component import OriginalSourceInfoComponent
from dam.models.processing_failure_component import ProcessingFailureComponent
from dam.models.verification_components import ObjectVerificationComponent, ReferenceVerificationComponent

__all__ = [
    "AudioPropertiesComponent",
    "ContentHashMD5Component",
    "ContentHashSHA256Component",
    "DocumentPropertiesComponent",
    "Entity",
    "FileLocationComponent",
    "FilePropertiesComponent",
    "FramePropertiesComponent",
    "ImageCaptureComponent",
    "ImageDimensionsComponent",
    "ImagePerceptualAHashComponent",
    "ImagePerceptualDHashComponent",
    "ImagePerceptualPHashComponent",
    "ObjectVerificationComponent",
    "OriginalSourceInfoComponent",
    "ProcessingFailureComponent",
    "ReferenceVerificationComponent",
]
