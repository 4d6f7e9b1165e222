//! Reads the settings of brokers and topics, and the list of brokers.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::ConsumerContext;
use rdkafka_sys as sys;
use sys::rd_kafka_ResourceType_t as ResourceType;
use sys::rd_kafka_admin_op_t as Op;

use super::Admin;
use crate::kafka::ffi::answers::{Answer, unexpected};
use crate::kafka::ffi::requests::c_string;
use crate::kafka::ffi::{NativeError, elements, raw, text};

/// The resource whose settings are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOf<'a> {
    /// A topic, by its name.
    Topic(&'a str),
    /// A broker, by its id. The request goes to that broker.
    Broker(i32),
}

/// A resource whose settings are read, owned.
struct Resource(*mut sys::rd_kafka_ConfigResource_t);

impl Resource {
    fn of(of: ConfigOf<'_>) -> Result<Self, NativeError> {
        let (kind, name) = match of {
            ConfigOf::Topic(name) => (ResourceType::RD_KAFKA_RESOURCE_TOPIC, c_string(name)?),
            ConfigOf::Broker(id) => {
                (ResourceType::RD_KAFKA_RESOURCE_BROKER, c_string(&id.to_string())?)
            }
        };
        // SAFETY: the name outlives the call, which copies it.
        let resource = unsafe { sys::rd_kafka_ConfigResource_new(kind, name.as_ptr()) };
        if resource.is_null() { Err(unexpected("config resource")) } else { Ok(Self(resource)) }
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_ConfigResource_new`, freed once.
        unsafe { sys::rd_kafka_ConfigResource_destroy(self.0) }
    }
}

impl<C: ConsumerContext + 'static> Admin<C> {
    /// All settings by name, including defaults, except those whose value the broker does not disclose.
    ///
    /// # Errors
    ///
    /// The error of the request or of the resource.
    pub async fn describe_configs(
        &self,
        of: ConfigOf<'_>,
        timeout: Duration,
    ) -> Result<BTreeMap<String, String>, NativeError> {
        let resource = Resource::of(of)?;
        let options = self.requests.options(Op::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout)?;
        let answer = self.requests.ask(options, |rk, options, queue| {
            let mut resources = [resource.0];
            // SAFETY: the resource outlives the call, which copies it.
            unsafe {
                sys::rd_kafka_DescribeConfigs(rk, resources.as_mut_ptr(), 1, options, queue);
            }
        });
        settings(&answer.await?)
    }

    /// The ids of the brokers that the cluster reports as alive.
    ///
    /// # Errors
    ///
    /// The request's error.
    pub async fn brokers(&self, timeout: Duration) -> Result<Vec<i32>, NativeError> {
        let options = self.requests.options(Op::RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER, timeout)?;
        let answer = self.requests.ask(options, |rk, options, queue| {
            // SAFETY: all three are live; the request copies the options.
            unsafe { sys::rd_kafka_DescribeCluster(rk, options, queue) }
        });
        brokers(&answer.await?)
    }
}

fn settings(answer: &Answer) -> Result<BTreeMap<String, String>, NativeError> {
    // SAFETY: the result and all that it contains belong to the event, which outlives this function.
    unsafe {
        let result = sys::rd_kafka_event_DescribeConfigs_result(answer.ptr());
        if result.is_null() {
            return Err(unexpected("settings"));
        }
        let mut len = 0;
        let array = sys::rd_kafka_DescribeConfigs_result_resources(result, &raw mut len);
        let resource = *elements(array, len).first().ok_or_else(|| unexpected("settings"))?;
        if let Some(error) = NativeError::of_number(raw::rd_kafka_ConfigResource_error(resource)) {
            return Err(error.saying(sys::rd_kafka_ConfigResource_error_string(resource)));
        }
        let array = sys::rd_kafka_ConfigResource_configs(resource, &raw mut len);
        let disclosed = elements(array, len).iter().filter_map(|entry| {
            let value = sys::rd_kafka_ConfigEntry_value(*entry);
            let name = text(sys::rd_kafka_ConfigEntry_name(*entry));
            (!value.is_null()).then(|| (name, text(value)))
        });
        Ok(disclosed.collect())
    }
}

fn brokers(answer: &Answer) -> Result<Vec<i32>, NativeError> {
    // SAFETY: as above.
    unsafe {
        let result = sys::rd_kafka_event_DescribeCluster_result(answer.ptr());
        if result.is_null() {
            return Err(unexpected("brokers"));
        }
        let mut len = 0;
        let array = sys::rd_kafka_DescribeCluster_result_nodes(result, &raw mut len);
        Ok(elements(array, len).iter().map(|node| sys::rd_kafka_Node_id(*node)).collect())
    }
}
